"""From a feature map to features: pooling, and the BNNeck."""

from .bnneck import BNNeck
from .branch_pooling import BranchPooling
from .gem import GeneralizedMeanPooling
from .pattern_alignment import PatternAlignment

__all__ = ['BNNeck', 'BranchPooling', 'GeneralizedMeanPooling', 'PatternAlignment']
