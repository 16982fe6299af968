"""Pseudo labels without labels: neighbours, Jaccard distance, DBSCAN, prototypes."""

from .aggregated_memories import AggregatedMemories, aggregate_prototypes
from .calibration import PrototypeCalibration, calibrate_labels, cluster_density
from .camera_neighbors import CameraNeighbors
from .clean_probabilities import clean_probabilities
from .clusterers import JaccardDBSCAN, dbscan_labels, disjoint_subsets
from .encoding import k_reciprocal_encoding
from .hybrid_memories import HybridMemories
from .jaccard import jaccard_distance, jaccard_pairs
from .labelling import ClusterLabeller, Labeller
from .matched_memories import MatchedMemories, cross_terms
from .matching import Associator, ClusterMatch, join_matched, matching_cost
from .memory_plans import MemoryPlan, ModalityMemories, SharedMemory, SplitMemory
from .neighbor_labels import neighbor_soft_labels, neighbor_weights
from .neighbor_soft_memories import NeighborSoftMemories
from .neighbors import (
    BalancedNeighbors,
    NeighborLists,
    NeighborRule,
    PlainNeighbors,
    ReweightedNeighbors,
)
from .optimal_transport import OptimalTransportMatching, optimal_transport_matching
from .partitions import GlobalClustering, IntraModalityClustering, Partition
from .progressive_matching import ProgressiveGraphMatching, progressive_graph_matching
from .prototypes import (
    ModalityPrototypes,
    centroids_by_modality,
    cluster_centroids,
    cluster_positions,
    hybrid_centroids,
    modality_prototypes,
)
from .scores import ClusterReport, cluster_report
from .vote_matching import VoteMatching, cross_modality_votes, greedy_matching

__all__ = [
    'AggregatedMemories', 'Associator', 'BalancedNeighbors', 'CameraNeighbors',
    'ClusterLabeller', 'ClusterMatch', 'ClusterReport', 'GlobalClustering', 'HybridMemories',
    'IntraModalityClustering', 'JaccardDBSCAN', 'Labeller', 'MatchedMemories', 'MemoryPlan',
    'ModalityMemories', 'ModalityPrototypes', 'NeighborLists', 'NeighborRule',
    'NeighborSoftMemories', 'OptimalTransportMatching', 'Partition', 'PlainNeighbors',
    'ProgressiveGraphMatching', 'PrototypeCalibration', 'ReweightedNeighbors', 'SharedMemory',
    'SplitMemory', 'VoteMatching', 'aggregate_prototypes', 'calibrate_labels',
    'centroids_by_modality', 'clean_probabilities', 'cluster_centroids', 'cluster_density',
    'cluster_positions', 'cluster_report', 'cross_modality_votes', 'cross_terms',
    'dbscan_labels', 'disjoint_subsets', 'greedy_matching', 'hybrid_centroids',
    'jaccard_distance', 'jaccard_pairs', 'join_matched', 'k_reciprocal_encoding',
    'matching_cost', 'modality_prototypes', 'neighbor_soft_labels', 'neighbor_weights',
    'optimal_transport_matching', 'progressive_graph_matching'
]
