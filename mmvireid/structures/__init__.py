"""Value objects shared by all parts."""

from .batch_info import BatchInfo
from .clustering_epoch import ClusteringEpoch
from .data_sample import Modality, ReIDDataSample
from .members import member_names
from .pseudo_labels import Prototypes, PseudoLabels, Term
from .retrieval_result import ImageSet, RetrievalResult

__all__ = [
    'BatchInfo', 'ClusteringEpoch', 'ImageSet', 'Modality', 'Prototypes', 'PseudoLabels',
    'ReIDDataSample', 'RetrievalResult', 'Term', 'member_names'
]
