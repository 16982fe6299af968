"""A gallery that is indexed once, kept on disk, and searched many times."""

from .fingerprint import model_fingerprint
from .gallery_index import GalleryIndex
from .options import INDEX_KINDS
from .rows import GalleryRows

__all__ = ['INDEX_KINDS', 'GalleryIndex', 'GalleryRows', 'model_fingerprint']
