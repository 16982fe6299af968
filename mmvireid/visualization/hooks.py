"""Hooks that leave pictures beside the numbers."""

from pathlib import Path
from typing import Optional, Sequence

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvireid.registry import HOOKS

from .ranking_list import choose_queries, draw_ranking_lists, save_picture


@HOOKS.register_module()
class RankingListHook(Hook):
    """Draw ranking lists of some queries after a test.

    Takes the first setting and trial of the evaluator's first metric and shows all
    its rankings below one another; half of the queries are ones the last ranking gets
    wrong at rank 1.

    Args:
        out_dir: folder for the picture; ``<work_dir>/ranking_lists`` when None.
        num_queries: how many queries to draw.
        topk: how many gallery images a row.
        rankings: which rankings to show; all when None.
        title: line above the picture; the name of the setting when None.
    """

    priority = 'LOW'

    def __init__(self,
                 out_dir: Optional[str] = None,
                 num_queries: int = 8,
                 topk: int = 10,
                 rankings: Optional[Sequence[str]] = None,
                 title: Optional[str] = None) -> None:
        self.out_dir = out_dir
        self.num_queries = num_queries
        self.topk = topk
        self.rankings = rankings
        self.title = title

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Draw the picture and log its path."""
        metric = runner.test_evaluator.metrics[0]
        setting = metric.settings[0]
        results = {
            name: metric.first_result(setting, name)
            for name in self.rankings or metric.rankings
        }
        last = list(results.values())[-1]
        picture = draw_ranking_lists(
            results,
            choose_queries(last, self.num_queries, protocol=metric.protocol),
            protocol=metric.protocol,
            topk=self.topk,
            title=self.title or metric.SETTINGS[setting])
        folder = Path(self.out_dir or Path(runner.work_dir) / 'ranking_lists')
        path = save_picture(picture, folder / f'{setting}.png')
        runner.logger.info(f'ranking lists: {path}')
