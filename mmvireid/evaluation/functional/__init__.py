"""Metrics as pure functions on plain arrays: no Runner, no data set object."""

from .distance import cosine_distance, trial_distances
from .ranking import RANKING_PROTOCOLS, RankingProtocol, RankMetrics, rank_metrics
from .rerank import k_reciprocal_rerank

__all__ = [
    'RANKING_PROTOCOLS', 'RankMetrics', 'RankingProtocol', 'cosine_distance',
    'k_reciprocal_rerank', 'rank_metrics', 'trial_distances'
]
