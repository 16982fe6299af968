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
from .post_processors import KReciprocalReRanking
from .rankings import (
    CosineGallery,
    CosineScorer,
    Nearest,
    PreparedGallery,
    RankedGallery,
    Ranking,
    Scorer,
    build_rankings,
)
from .report import format_table, summarize

__all__ = [
    'CosineGallery', 'CosineScorer', 'CrossModalityMetric', 'KReciprocalReRanking', 'LLCMMetric',
    'ListFileMetric', 'Nearest', 'PreparedGallery', 'RankMetrics', 'RankedGallery', 'Ranking',
    'RegDBMetric', 'SYSUMetric', 'Scorer', 'Trial', 'build_rankings', 'cosine_distance',
    'format_table', 'k_reciprocal_rerank', 'rank_metrics', 'summarize', 'trial_distances'
]
