"""From pooled features to losses and descriptors."""

from .bnneck_head import BNNeckHead
from .cift_head import CIFTHead

__all__ = ['BNNeckHead', 'CIFTHead']
