"""Pseudo labels without labels: neighbours, Jaccard distance, DBSCAN, prototypes."""

from .aggregated_memories import AggregatedMemories, aggregate_prototypes
from .camera_neighbors import CameraNeighbors
from .clusterers import JaccardDBSCAN, dbscan_labels, disjoint_subsets
from .encoding import k_reciprocal_encoding
from .jaccard import jaccard_distance, jaccard_pairs
from .labelling import ClusterLabeller, Labeller
from .matched_memories import MatchedMemories, cross_terms
from .matching import ClusterMatch, join_matched, matching_cost
from .memory_plans import ModalityMemories, SharedMemory, SplitMemory
from .neighbors import (
    BalancedNeighbors,
    NeighborLists,
    NeighborRule,
    PlainNeighbors,
    ReweightedNeighbors,
)
from .partitions import GlobalClustering, IntraModalityClustering, Partition
from .progressive_matching import ProgressiveGraphMatching, progressive_graph_matching
from .prototypes import (
    ModalityPrototypes,
    centroids_by_modality,
    cluster_centroids,
    cluster_positions,
    modality_prototypes,
)
from .scores import ClusterReport, cluster_report
from .vote_matching import VoteMatching, cross_modality_votes, greedy_matching

__all__ = [
    'AggregatedMemories', 'BalancedNeighbors', 'CameraNeighbors', 'ClusterLabeller',
    'ClusterMatch', 'ClusterReport', 'GlobalClustering', 'IntraModalityClustering',
    'JaccardDBSCAN', 'Labeller', 'MatchedMemories', 'ModalityMemories', 'ModalityPrototypes',
    'NeighborLists', 'NeighborRule', 'Partition', 'PlainNeighbors', 'ProgressiveGraphMatching',
    'ReweightedNeighbors', 'SharedMemory', 'SplitMemory', 'VoteMatching',
    'aggregate_prototypes', 'centroids_by_modality', 'cluster_centroids', 'cluster_positions',
    'cluster_report', 'cross_modality_votes', 'cross_terms', 'dbscan_labels',
    'disjoint_subsets', 'greedy_matching', 'jaccard_distance', 'jaccard_pairs', 'join_matched',
    'k_reciprocal_encoding', 'matching_cost', 'modality_prototypes',
    'progressive_graph_matching'
]
