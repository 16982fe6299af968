"""Whole models."""

from .co_teaching import CoTeachingReIdentifier
from .cross_modality import CrossModalityReIdentifier

__all__ = ['CoTeachingReIdentifier', 'CrossModalityReIdentifier']
