"""Pseudo labels without labels: neighbours, Jaccard distance, DBSCAN, prototypes."""

from .clusterers import JaccardDBSCAN, dbscan_labels, disjoint_subsets
from .encoding import k_reciprocal_encoding
from .jaccard import jaccard_distance, jaccard_pairs
from .neighbors import NeighborLists
from .prototypes import ModalityPrototypes, cluster_centroids, modality_prototypes

__all__ = [
    'JaccardDBSCAN', 'ModalityPrototypes', 'NeighborLists', 'cluster_centroids', 'dbscan_labels',
    'disjoint_subsets', 'jaccard_distance', 'jaccard_pairs', 'k_reciprocal_encoding',
    'modality_prototypes'
]
