"""Samplers that compose cross-modality batches."""

from .chunk_sampler import CrossModalityChunkSampler
from .cluster_sampler import ClusterSampler
from .co_teaching_sampler import CoTeachingSampler
from .exhaustive_sampler import CrossModalityExhaustiveSampler
from .pk_sampler import CrossModalityPKSampler
from .shuffled_sampler import CrossModalityShuffledSampler

__all__ = [
    'ClusterSampler', 'CoTeachingSampler', 'CrossModalityChunkSampler',
    'CrossModalityExhaustiveSampler', 'CrossModalityPKSampler', 'CrossModalityShuffledSampler'
]
