"""Pseudo labels without labels: neighbours, Jaccard distance, DBSCAN, prototypes."""

from .associators import NoAssociation
from .camera_neighbors import CameraNeighbors
from .clusterers import JaccardDBSCAN, dbscan_labels, disjoint_subsets
from .encoding import k_reciprocal_encoding
from .jaccard import jaccard_distance, jaccard_pairs
from .memory_plans import MemoryPlan, ModalityMemories, SharedMemory, SplitMemory
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
    'BalancedNeighbors', 'CameraNeighbors', 'ClusterReport', 'GlobalClustering',
    'IntraModalityClustering', 'JaccardDBSCAN', 'MemoryPlan', 'ModalityMemories',
    'ModalityPrototypes', 'NeighborLists', 'NeighborRule', 'NoAssociation', 'Partition',
    'PlainNeighbors', 'ReweightedNeighbors', 'SharedMemory', 'SplitMemory',
    'cluster_centroids', 'cluster_report', 'dbscan_labels', 'disjoint_subsets',
    'jaccard_distance', 'jaccard_pairs', 'k_reciprocal_encoding', 'modality_prototypes'
]
