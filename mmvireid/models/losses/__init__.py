"""Losses on embeddings and logits."""

from .hetero_center_cluster import HeteroCenterClusterLoss
from .triplet import TripletLoss
from .weighted_regularized_triplet import WeightedRegularizedTripletLoss

__all__ = ['HeteroCenterClusterLoss', 'TripletLoss', 'WeightedRegularizedTripletLoss']
