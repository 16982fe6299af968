"""From a feature map to features: pooling, and the BNNeck."""

from .bnneck import BNNeck
from .gem import GeneralizedMeanPooling

__all__ = ['BNNeck', 'GeneralizedMeanPooling']
