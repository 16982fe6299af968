"""Evaluation: pure functions on arrays, and MMEngine metrics on top of them."""

from .functional import (
    RankMetrics,
    cosine_distance,
    k_reciprocal_rerank,
    rank_metrics,
    trial_distances,
)
from .metrics import (
    CrossModalityMetric,
    ListFileMetric,
    LLCMMetric,
    RegDBMetric,
    SYSUMetric,
    Trial,
)
from .report import format_table, summarize
from .rerank_processor import KReciprocalReRanking

__all__ = [
    'CrossModalityMetric', 'KReciprocalReRanking', 'LLCMMetric', 'ListFileMetric', 'RankMetrics',
    'RegDBMetric', 'SYSUMetric', 'Trial', 'cosine_distance', 'format_table',
    'k_reciprocal_rerank', 'rank_metrics', 'summarize', 'trial_distances'
]
