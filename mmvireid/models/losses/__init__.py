"""Losses on embeddings and logits."""

from .adaptive_quadruplet import AdaptiveQuadrupletLoss
from .branch_orthogonality import BranchOrthogonalityLoss
from .center_cluster import CenterClusterLoss
from .center_guided_pair_mining import CenterGuidedPairMiningLoss
from .hetero_center_cluster import HeteroCenterClusterLoss
from .neighbor_relation import NeighborRelationLoss
from .part_mix import PartMixLoss, mix_parts, reliable
from .pattern_separation import pattern_separation
from .soft_identification import SoftIdentificationLoss, weighted_cross_entropy
from .triplet import TripletLoss
from .weighted_regularized_triplet import WeightedRegularizedTripletLoss

__all__ = [
    'AdaptiveQuadrupletLoss', 'BranchOrthogonalityLoss', 'CenterClusterLoss',
    'CenterGuidedPairMiningLoss', 'HeteroCenterClusterLoss', 'NeighborRelationLoss',
    'PartMixLoss', 'SoftIdentificationLoss', 'TripletLoss', 'WeightedRegularizedTripletLoss',
    'mix_parts', 'pattern_separation', 'reliable', 'weighted_cross_entropy'
]
