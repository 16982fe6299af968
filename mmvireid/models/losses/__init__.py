"""Losses on embeddings and logits."""

from .branch_orthogonality import BranchOrthogonalityLoss
from .center_guided_pair_mining import CenterGuidedPairMiningLoss
from .hetero_center_cluster import HeteroCenterClusterLoss
from .triplet import TripletLoss
from .weighted_regularized_triplet import WeightedRegularizedTripletLoss

__all__ = [
    'BranchOrthogonalityLoss', 'CenterGuidedPairMiningLoss', 'HeteroCenterClusterLoss',
    'TripletLoss', 'WeightedRegularizedTripletLoss'
]
