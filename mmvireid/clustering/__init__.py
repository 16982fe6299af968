"""Pseudo labels without labels: neighbours, Jaccard distance, DBSCAN, prototypes."""

from .camera_neighbors import CameraNeighbors
from .clusterers import JaccardDBSCAN, dbscan_labels, disjoint_subsets
from .encoding import k_reciprocal_encoding
from .jaccard import jaccard_distance, jaccard_pairs
from .labelling import ClusterLabeller, Labeller
from .matching import ClusterMatch, join_matched
from .memory_plans import ModalityMemories, SharedMemory, SplitMemory
from .neighbors import (
    BalancedNeighbors,
    NeighborLists,
    NeighborRule,
    PlainNeighbors,
    ReweightedNeighbors,
)
from .partitions import GlobalClustering, IntraModalityClustering, Partition
from .prototypes import ModalityPrototypes, cluster_centroids, modality_prototypes
from .scores import ClusterReport, cluster_report

__all__ = [
    'BalancedNeighbors', 'CameraNeighbors', 'ClusterLabeller', 'ClusterMatch', 'ClusterReport',
    'GlobalClustering', 'IntraModalityClustering', 'JaccardDBSCAN', 'Labeller',
    'ModalityMemories', 'ModalityPrototypes', 'NeighborLists', 'NeighborRule', 'Partition',
    'PlainNeighbors', 'ReweightedNeighbors', 'SharedMemory', 'SplitMemory',
    'cluster_centroids', 'cluster_report', 'dbscan_labels', 'disjoint_subsets',
    'jaccard_distance', 'jaccard_pairs', 'join_matched', 'k_reciprocal_encoding',
    'modality_prototypes'
]
