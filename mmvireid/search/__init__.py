"""Nearest neighbours on plain arrays."""

from .index import INDEX_KINDS, GalleryIndex, GalleryRows, model_fingerprint
from .ivf import ivf_topk
from .self_search import self_topk
from .topk import SEARCH_BACKENDS, topk

__all__ = [
    'INDEX_KINDS', 'SEARCH_BACKENDS', 'GalleryIndex', 'GalleryRows', 'ivf_topk',
    'model_fingerprint', 'self_topk', 'topk'
]
