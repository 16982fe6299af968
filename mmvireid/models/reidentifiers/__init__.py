"""Whole models."""

from .co_teaching import CoTeachingReIdentifier
from .cross_modality import CrossModalityReIdentifier
from .reidentifier import ReIdentifier

__all__ = ['CoTeachingReIdentifier', 'CrossModalityReIdentifier', 'ReIdentifier']
