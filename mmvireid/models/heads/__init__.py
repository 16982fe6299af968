"""From features to losses and descriptors."""

from .bnneck_head import BNNeckHead
from .cift_head import CIFTHead
from .cluster_contrast_head import ClusterContrastHead
from .dart_head import DARTHead
from .deen_head import DEENHead
from .identity_head import IdentityHead
from .mutual_mean_head import MutualMeanHead
from .part_mix_head import PartMixHead
from .reid_head import ReIDHead

__all__ = [
    'BNNeckHead', 'CIFTHead', 'ClusterContrastHead', 'DARTHead', 'DEENHead', 'IdentityHead',
    'MutualMeanHead', 'PartMixHead', 'ReIDHead'
]
