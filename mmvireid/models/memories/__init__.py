"""Prototypes of clusters that live beside the network."""

from .cluster_memory import ClusterMemory

__all__ = ['ClusterMemory']
