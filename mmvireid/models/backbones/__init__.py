"""Backbones of mmpretrain, made aware of the modality."""

from .alleviation import ModalityAlleviation
from .cross_modality import CrossModalityBackbone
from .per_modality import ModalityRoute, PerModality

__all__ = ['CrossModalityBackbone', 'ModalityAlleviation', 'ModalityRoute', 'PerModality']
