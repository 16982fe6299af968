"""Backbones of mmpretrain, made aware of the modality."""

from .alleviation import ModalityAlleviation
from .cross_modality import CrossModalityBackbone
from .embedding_expansion import DiverseEmbeddingExpansion
from .feature_aggregation import MultiStageFeatureAggregation
from .per_modality import ModalityRoute, PerModality

__all__ = [
    'CrossModalityBackbone', 'DiverseEmbeddingExpansion', 'ModalityAlleviation', 'ModalityRoute',
    'MultiStageFeatureAggregation', 'PerModality'
]
