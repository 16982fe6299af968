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
    DARTHead,
    DEENHead,
    IdentityHead,
    MutualMeanHead,
    PartMixHead,
    ReIDHead,
)
from .losses import (
    AdaptiveQuadrupletLoss,
    BranchOrthogonalityLoss,
    CenterClusterLoss,
    CenterGuidedPairMiningLoss,
    HeteroCenterClusterLoss,
    NeighborRelationLoss,
    PartMixLoss,
    SoftIdentificationLoss,
    TripletLoss,
    WeightedRegularizedTripletLoss,
    mix_parts,
    pattern_separation,
    reliable,
    weighted_cross_entropy,
)
from .memories import ClusterMemory
from .necks import BNNeck, BranchPooling, GeneralizedMeanPooling, PatternAlignment
from .reidentifiers import CoTeachingReIdentifier, CrossModalityReIdentifier, ReIdentifier

__all__ = [
    'AdaptiveQuadrupletLoss', 'BNNeck', 'BNNeckHead', 'BranchOrthogonalityLoss',
    'BranchPooling', 'CIFTHead', 'CenterClusterLoss', 'CenterGuidedPairMiningLoss',
    'ClusterContrastHead', 'ClusterMemory', 'CoTeachingReIdentifier',
    'CounterfactualIntervention', 'CrossModalityBackbone', 'CrossModalityReIdentifier',
    'DARTHead', 'DEENHead', 'DiverseEmbeddingExpansion', 'GeneralizedMeanPooling',
    'GraphTransfer', 'HeteroCenterClusterLoss', 'IdentityHead', 'ModalityAlleviation',
    'MultiStageFeatureAggregation', 'MutualMeanHead', 'NeighborRelationLoss', 'PartMixHead',
    'PartMixLoss', 'PatternAlignment', 'PerModality', 'ReIDDataPreprocessor', 'ReIDHead',
    'ReIdentifier', 'SoftIdentificationLoss', 'TripletLoss', 'WeightedRegularizedTripletLoss',
    'mix_parts', 'pattern_separation', 'reliable', 'transfer_affinity', 'transfer_features',
    'weighted_cross_entropy'
]
