"""Models and their parts.

Backbones come from mmpretrain, which a config names with its scope
(``mmpretrain.ResNet``); importing this package does not import mmpretrain.
"""

from .backbones import CrossModalityBackbone, ModalityAlleviation, PerModality
from .data_preprocessor import ReIDDataPreprocessor
from .graph_transfer import (
    CounterfactualIntervention,
    GraphTransfer,
    transfer_affinity,
    transfer_features,
)
from .heads import BNNeckHead, CIFTHead, ClusterContrastHead, IdentityHead, ReIDHead
from .losses import HeteroCenterClusterLoss, TripletLoss, WeightedRegularizedTripletLoss
from .memories import ClusterMemory
from .necks import BNNeck, GeneralizedMeanPooling
from .reidentifiers import CrossModalityReIdentifier

__all__ = [
    'BNNeck', 'BNNeckHead', 'CIFTHead', 'ClusterContrastHead', 'ClusterMemory',
    'CounterfactualIntervention', 'CrossModalityBackbone', 'CrossModalityReIdentifier',
    'GeneralizedMeanPooling', 'GraphTransfer', 'HeteroCenterClusterLoss', 'IdentityHead',
    'ModalityAlleviation', 'PerModality', 'ReIDDataPreprocessor', 'ReIDHead', 'TripletLoss',
    'WeightedRegularizedTripletLoss', 'transfer_affinity', 'transfer_features'
]
