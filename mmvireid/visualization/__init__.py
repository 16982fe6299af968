"""Pictures of what a model finds."""

from .affinity import TransferGraph, draw_affinity, graph_of_people, ranking_with_graph
from .clustering_plot_hook import ClusteringPlotHook
from .distance_histograms import draw_distance_histograms
from .embedding import draw_embedding
from .hooks import AffinityHook, EmbeddingHook, PictureHook, RankingListHook
from .local_files import LocalVisBackend
from .pair_distances import PairHistogram, pair_histograms
from .ranking_list import choose_queries, draw_ranking_lists, save_picture
from .report import ReportHook
from .tensorboard import TensorboardVisBackend
from .visualizer import ReIDVisualizer

__all__ = [
    'AffinityHook', 'ClusteringPlotHook', 'EmbeddingHook', 'LocalVisBackend', 'PairHistogram',
    'PictureHook', 'RankingListHook', 'ReIDVisualizer', 'ReportHook', 'TensorboardVisBackend',
    'TransferGraph', 'choose_queries', 'draw_affinity', 'draw_distance_histograms',
    'draw_embedding', 'draw_ranking_lists', 'graph_of_people', 'pair_histograms',
    'ranking_with_graph', 'save_picture'
]
