"""Backbones of mmpretrain, made aware of the modality."""

from .cross_modality import CrossModalityBackbone
from .per_modality import ModalityRoute, PerModality

__all__ = ['CrossModalityBackbone', 'ModalityRoute', 'PerModality']
