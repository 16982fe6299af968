"""Models and their parts.

Backbones come from mmpretrain, which a config names with its scope
(``mmpretrain.ResNet``); importing this package does not import mmpretrain.
"""

from .backbones import (
    CrossModalityBackbone,
    DiverseEmbeddingExpansion,
    ModalityAlleviation,
    MultiStageFeatureAggregation,
    PerModality,
)
from .data_preprocessor import ReIDDataPreprocessor
from .graph_transfer import (
    CounterfactualIntervention,
    GraphTransfer,
    transfer_affinity,
    transfer_features,
)
from .heads import (
    BNNeckHead,
    CIFTHead,
    ClusterContrastHead,
    DEENHead,
    IdentityHead,
    MutualMeanHead,
    PartMixHead,
    ReIDHead,
)
from .losses import (
    BranchOrthogonalityLoss,
    CenterClusterLoss,
    CenterGuidedPairMiningLoss,
    HeteroCenterClusterLoss,
    NeighborRelationLoss,
    PartMixLoss,
    TripletLoss,
    WeightedRegularizedTripletLoss,
    mix_parts,
    pattern_separation,
    reliable,
)
from .memories import ClusterMemory
from .necks import BNNeck, BranchPooling, GeneralizedMeanPooling, PatternAlignment
from .reidentifiers import CrossModalityReIdentifier

__all__ = [
    'BNNeck', 'BNNeckHead', 'BranchOrthogonalityLoss', 'BranchPooling', 'CIFTHead',
    'CenterClusterLoss', 'CenterGuidedPairMiningLoss', 'ClusterContrastHead', 'ClusterMemory',
    'CounterfactualIntervention', 'CrossModalityBackbone', 'CrossModalityReIdentifier',
    'DEENHead', 'DiverseEmbeddingExpansion', 'GeneralizedMeanPooling', 'GraphTransfer',
    'HeteroCenterClusterLoss', 'IdentityHead', 'ModalityAlleviation',
    'MultiStageFeatureAggregation', 'MutualMeanHead', 'NeighborRelationLoss', 'PartMixHead',
    'PartMixLoss', 'PatternAlignment', 'PerModality', 'ReIDDataPreprocessor', 'ReIDHead',
    'TripletLoss', 'WeightedRegularizedTripletLoss', 'mix_parts', 'pattern_separation',
    'reliable', 'transfer_affinity', 'transfer_features'
]
