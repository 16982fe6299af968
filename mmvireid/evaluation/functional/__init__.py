"""Metrics as pure functions on plain arrays: no Runner, no data set object."""

from mmvireid.utils.cosine import cosine_distance

from .distance import trial_distances
from .ranking import RANKING_PROTOCOLS, RankingProtocol, RankMetrics, rank_metrics
from .rerank import k_reciprocal_rerank

__all__ = [
    'RANKING_PROTOCOLS', 'RankMetrics', 'RankingProtocol', 'cosine_distance',
    'k_reciprocal_rerank', 'rank_metrics', 'trial_distances'
]
