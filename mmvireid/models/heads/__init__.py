"""From pooled features to losses and descriptors."""

from .bnneck_head import BNNeckHead
from .cift_head import CIFTHead
from .cluster_contrast_head import ClusterContrastHead

__all__ = ['BNNeckHead', 'CIFTHead', 'ClusterContrastHead']
