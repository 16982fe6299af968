"""Errors whose message is meant for the person at the keyboard."""


class MMVIReIDError(Exception):
    """Stop a run with one sentence that says what to do.

    The command lines print the message alone, without a stack; any other error is a fault of
    the program and keeps its stack. A subclass takes a single string, so that it survives the
    way from a data-loading process, and may be a ``ValueError`` or the like as well.
    """


class EnvironmentMismatchError(MMVIReIDError):
    """Report packages that do not fit together."""


class ConfigError(MMVIReIDError, ValueError):
    """Report a config, or an option of it, that cannot be used."""


class InputError(MMVIReIDError, ValueError):
    """Report images, arrays or numbers that cannot be used as asked."""


class UsageError(MMVIReIDError, RuntimeError):
    """Report parts that do not work together, or were used in the wrong order."""


class MissingEntryError(MMVIReIDError, KeyError):
    """Report a name that is not among those there are."""

    def __str__(self) -> str:
        """Return the sentence; a ``KeyError`` would put it in quotes."""
        return str(self.args[0])


class DatasetError(MMVIReIDError, ValueError):
    """Say in one sentence which file or folder is wrong and what to do.

    Raised for everything a person can cure by looking at the dataset: a missing
    folder, an index file that does not fit, an image that cannot be decoded.
    """


class OccupiedFolderError(DatasetError, FileExistsError):
    """Report a folder that holds something else than what shall be written to it."""


class CheckpointError(MMVIReIDError):
    """Report a checkpoint that cannot be used with this model."""


class CheckpointUnavailableError(CheckpointError):
    """Report a checkpoint that cannot be downloaded."""


class MainProcessError(MMVIReIDError, RuntimeError):
    """Report on the other processes that the main one failed, which says more."""


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
