"""Pictures of what a model finds."""

from .clustering_plot_hook import ClusteringPlotHook
from .distance_histograms import draw_distance_histograms
from .embedding import draw_embedding
from .hooks import RankingListHook
from .pair_distances import PairHistogram, pair_histograms
from .ranking_list import choose_queries, draw_ranking_lists, save_picture
from .report import ReportHook

__all__ = [
    'ClusteringPlotHook', 'PairHistogram', 'RankingListHook', 'ReportHook', 'choose_queries',
    'draw_distance_histograms', 'draw_embedding', 'draw_ranking_lists', 'pair_histograms',
    'save_picture'
]
