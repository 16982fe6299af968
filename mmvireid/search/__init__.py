"""Nearest neighbours on plain arrays."""

from .ivf import ivf_topk
from .self_search import self_topk
from .topk import SEARCH_BACKENDS, topk

__all__ = ['SEARCH_BACKENDS', 'ivf_topk', 'self_topk', 'topk']
