"""Pictures of what a model finds."""

from .hooks import RankingListHook
from .ranking_list import choose_queries, draw_ranking_lists, save_picture

__all__ = ['RankingListHook', 'choose_queries', 'draw_ranking_lists', 'save_picture']
