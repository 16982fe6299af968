"""Samplers that compose cross-modality batches."""

from .chunk_sampler import CrossModalityChunkSampler
from .cluster_sampler import ClusterSampler
from .exhaustive_sampler import CrossModalityExhaustiveSampler
from .pk_sampler import CrossModalityPKSampler

__all__ = [
    'ClusterSampler', 'CrossModalityChunkSampler', 'CrossModalityExhaustiveSampler',
    'CrossModalityPKSampler'
]
