"""Whole models."""

from .cross_modality import CrossModalityReIdentifier

__all__ = ['CrossModalityReIdentifier']
