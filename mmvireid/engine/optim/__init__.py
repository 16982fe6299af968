"""Optimiser wrappers."""

from .summing import AmpSummingOptimWrapper, SummingOptimWrapper

__all__ = ['AmpSummingOptimWrapper', 'SummingOptimWrapper']
