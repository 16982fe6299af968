"""Value objects shared by all parts."""

from .clustering_epoch import ClusteringEpoch
from .data_sample import Modality, ReIDDataSample
from .retrieval_result import ImageSet, RetrievalResult

__all__ = ['ClusteringEpoch', 'ImageSet', 'Modality', 'ReIDDataSample', 'RetrievalResult']
