"""Hooks that leave pictures beside the numbers."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mmvireid.evaluation import CrossModalityMetric
from mmvireid.registry import HOOKS
from mmvireid.structures import Modality
from mmvireid.utils.errors import EvaluationError

from .affinity import draw_affinity, graph_of_people, ranking_with_graph
from .embedding import draw_embedding
from .ranking_list import choose_queries, draw_ranking_lists, save_picture


class PictureHook(Hook, metaclass=ABCMeta):
    """Draw something from the outcome of a test, and of validations if asked for.

    Pictures are written to a folder, and go to the visualiser of the run under the name of
    that folder: to ``vis_data`` of a local backend, to *Images* of TensorBoard. The step of
    a validation is the number of epochs trained, that of a test 0.

    Args:
        out_dir: folder for the pictures; :attr:`folder` in the work directory when None.
        on_val: whether to draw after each validation too.
    """

    priority = 'LOW'
    only_watches = True
    #: folder in the work directory, and name for the visualiser
    folder: ClassVar[str]

    def __init__(self, out_dir: str | None = None, on_val: bool = False) -> None:
        self.out_dir = out_dir
        self.on_val = on_val

    @abstractmethod
    def draw(self, metric: CrossModalityMetric,
             validation: bool = False) -> dict[str, Image.Image]:
        """Draw pictures from a metric that has just evaluated a model.

        Args:
            metric: the first of the evaluator.
            validation: whether it was a validation and not a test.

        Returns:
            dict: name -> picture.
        """

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draw and log the paths."""
        self._save_pictures(runner, self.draw(runner.test_evaluator.metrics[0]), '', 0)

    @master_only
    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draw and log the paths, if it was asked for."""
        if self.on_val:
            ending = f'_epoch_{runner.epoch:03d}'
            pictures = self.draw(runner.val_evaluator.metrics[0], validation=True)
            self._save_pictures(runner, pictures, ending, runner.epoch)

    def _save_pictures(self, runner: Runner, pictures: dict[str, Image.Image], ending: str,
               step: int) -> None:
        folder = Path(self.out_dir or Path(runner.work_dir) / self.folder)
        for name, picture in pictures.items():
            path = save_picture(picture, folder / f'{name}{ending}.png')
            runner.visualizer.add_image(f'{self.folder}_{name}', np.array(picture), step=step)
            runner.logger.info(f'{self.folder.replace("_", " ")}: {path}')


@HOOKS.register_module()
class RankingListHook(PictureHook):
    """Draw ranking lists of some queries after a test.

    Takes the first setting and trial of the evaluator's first metric and shows all
    its rankings below one another; half of the queries are ones the last ranking gets
    wrong at rank 1.

    Args:
        out_dir: folder for the picture; ``<work_dir>/ranking_lists`` when None.
        num_queries: how many queries to draw.
        topk: how many gallery images a row.
        rankings: which rankings to show; all when None, or when a validation has none of
            them.
        title: line above the picture; the name of the setting when None.
        on_val: whether to draw after each validation too.
    """

    folder = 'ranking_lists'

    def __init__(self,
                 out_dir: str | None = None,
                 num_queries: int = 8,
                 topk: int = 10,
                 rankings: Sequence[str] | None = None,
                 title: str | None = None,
                 on_val: bool = False) -> None:
        super().__init__(out_dir, on_val)
        self.num_queries = num_queries
        self.topk = topk
        self.rankings = rankings
        self.title = title

    def draw(self, metric: CrossModalityMetric,
             validation: bool = False) -> dict[str, Image.Image]:
        """Draw the lists.

        Args:
            metric: as in :meth:`PictureHook.draw`.
            validation: as in :meth:`PictureHook.draw`.

        Returns:
            dict: name of the setting -> picture.
        """
        setting = metric.settings[0]
        names = self.rankings or metric.rankings
        if validation:  # which often has fewer rankings than the test
            names = [name for name in names if name in metric.rankings] or metric.rankings
        results = {}
        for name in names:
            result = metric.first_result(setting, name)
            results[metric.rankings[name].label] = result
        last = list(results.values())[-1]
        return {setting: draw_ranking_lists(
            results,
            choose_queries(last, self.num_queries, protocol=metric.protocol),
            protocol=metric.protocol,
            topk=self.topk,
            title=self.title or metric.SETTINGS[setting])}


@HOOKS.register_module()
class EmbeddingHook(PictureHook):
    """Draw a t-SNE embedding of some people's descriptors after a test.

    The people are the same at every call, so pictures of several epochs can be compared.

    Args:
        out_dir: folder for the picture; ``<work_dir>/embedding`` when None.
        descriptor: which one to embed.
        num_identities: how many people.
        max_images: images at most of each in each modality.
        seed: decides who is shown.
        title: line above the picture; says what is shown when None.
        on_val: whether to draw after each validation too.
    """

    folder = 'embedding'

    def __init__(self,
                 out_dir: str | None = None,
                 descriptor: str = 'base',
                 num_identities: int = 12,
                 max_images: int = 30,
                 seed: int = 0,
                 title: str | None = None,
                 on_val: bool = False) -> None:
        super().__init__(out_dir, on_val)
        self.descriptor = descriptor
        self.num_identities = num_identities
        self.max_images = max_images
        self.seed = seed
        self.title = title

    def draw(self, metric: CrossModalityMetric,
             validation: bool = False) -> dict[str, Image.Image]:
        """Draw the embedding.

        Args:
            metric: as in :meth:`PictureHook.draw`.
            validation: as in :meth:`PictureHook.draw`.

        Returns:
            dict: name of the descriptor -> picture.

        Raises:
            EvaluationError: if the model gives no such descriptor.
        """
        images = metric.images
        if self.descriptor not in images.descriptors:
            raise EvaluationError(
                f'EmbeddingHook cannot draw the descriptor "{self.descriptor}": the model gives '
                f'{", ".join(sorted(images.descriptors))}.')
        return {self.descriptor: draw_embedding(
            images.descriptors[self.descriptor],
            images.modality,
            images.identity,
            group_name='identity',
            num_groups=self.num_identities,
            max_images=self.max_images,
            seed=self.seed,
            title=self.title or f'Descriptor "{self.descriptor}" of the test images')}


@HOOKS.register_module()
class AffinityHook(PictureHook):
    """Draw the graph of a ranking over some people after a test.

    It is that of the evaluator's first ranking that has one, as CIFT's has.

    Args:
        out_dir: folder for the picture; ``<work_dir>/affinity`` when None.
        query: modality of the queries, ``'infrared'`` or ``'visible'``; images of the other
            are the gallery.
        num_identities: how many people.
        max_images: images at most of each in each modality.
        seed: decides who is shown.
        title: line above the picture; the name of the descriptor when None.
        on_val: whether to draw after each validation too.
    """

    folder = 'affinity'

    def __init__(self,
                 out_dir: str | None = None,
                 query: str = 'infrared',
                 num_identities: int = 8,
                 max_images: int = 4,
                 seed: int = 0,
                 title: str | None = None,
                 on_val: bool = False) -> None:
        super().__init__(out_dir, on_val)
        self.query = Modality[query.upper()]
        self.num_identities = num_identities
        self.max_images = max_images
        self.seed = seed
        self.title = title

    def draw(self, metric: CrossModalityMetric,
             validation: bool = False) -> dict[str, Image.Image]:
        """Draw the graph.

        Args:
            metric: as in :meth:`PictureHook.draw`.
            validation: as in :meth:`PictureHook.draw`.

        Returns:
            dict: name of the descriptor that the graph compares -> picture.

        Raises:
            EvaluationError: if no ranking has a graph, or the model lacks its descriptor.
        """
        ranking = ranking_with_graph(metric.rankings)
        graph = graph_of_people(
            metric.images, ranking, self.query, people=self.num_identities,
            per_modality=self.max_images, seed=self.seed)
        name = ranking.scorer.descriptors_for(self.query)[0]
        return {name: draw_affinity({self.title or name: graph})}
