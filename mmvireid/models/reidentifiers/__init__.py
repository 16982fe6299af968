"""Whole models."""

from .cross_modality import CrossModalityReIdentifier
from .unsupervised import UnsupervisedReIdentifier

__all__ = ['CrossModalityReIdentifier', 'UnsupervisedReIdentifier']
