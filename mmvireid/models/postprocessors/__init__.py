"""Steps between descriptors and a ranking that need a method's own parts."""

from .graph_transfer import GraphTransfer

__all__ = ['GraphTransfer']
