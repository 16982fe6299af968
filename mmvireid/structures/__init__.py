"""Value objects shared by all parts."""

from .data_sample import Modality, ReIDDataSample
from .retrieval_result import ImageSet, RetrievalResult

__all__ = ['ImageSet', 'Modality', 'ReIDDataSample', 'RetrievalResult']
