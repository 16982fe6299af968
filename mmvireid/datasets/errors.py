"""The one exception for data that is not as it should be."""

from mmvireid.errors import MMVIReIDError


class DatasetError(MMVIReIDError, ValueError):
    """Say in one sentence which file or folder is wrong and what to do.

    Raised for everything a person can cure by looking at the dataset: a missing
    folder, an index file that does not fit, an image that cannot be decoded.
    """
