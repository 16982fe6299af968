"""Errors whose message is meant for the person at the keyboard."""


class MMVIReIDError(Exception):
    """Stop a run with one sentence that says what to do.

    The command lines print the message alone, without a stack. A subclass takes a
    single string, so that it survives the way from a data-loading process.
    """


class EnvironmentMismatchError(MMVIReIDError):
    """Report packages that do not fit together."""


class ConfigError(MMVIReIDError):
    """Report a config, or an option of it, that cannot be used."""


class DatasetError(MMVIReIDError, ValueError):
    """Say in one sentence which file or folder is wrong and what to do.

    Raised for everything a person can cure by looking at the dataset: a missing
    folder, an index file that does not fit, an image that cannot be decoded.
    """


class CheckpointError(MMVIReIDError):
    """Report a checkpoint that cannot be used with this model."""


class CheckpointUnavailableError(CheckpointError):
    """Report a checkpoint that cannot be downloaded."""


class TrainingDivergedError(MMVIReIDError):
    """Report a loss that is no longer a number."""


class WorkDirError(MMVIReIDError, OSError):
    """Report a file or folder for results that cannot be written."""


class EvaluationError(MMVIReIDError, ValueError):
    """Report a test that cannot give numbers."""


class ClusteringError(MMVIReIDError):
    """Report that clustering gives nothing to learn from."""


class GalleryIndexError(MMVIReIDError, ValueError):
    """Report a gallery index that cannot be used as asked."""


class RecordError(MMVIReIDError):
    """Report a file of numbers that is not complete."""
