"""Small parts that several models share."""

from mmvireid.utils.precision import at_least_float32, without_autocast

from .gather import gather_rows, map_rows
from .metric_loss import metric_loss_of_batch
from .pretrained_init import PretrainedIfAvailable
from .vectors import pairwise_euclidean, unit_rows, weighted_mean

__all__ = [
    'PretrainedIfAvailable', 'at_least_float32', 'gather_rows', 'map_rows',
    'metric_loss_of_batch', 'pairwise_euclidean', 'unit_rows', 'weighted_mean',
    'without_autocast'
]
