"""The graph of a ranking as a heat map: who receives features from whom."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from mmvireid.evaluation import Ranking
from mmvireid.structures import ImageSet, Modality
from mmvireid.utils.errors import EvaluationError

from .embedding import choose_images
from .figure import INK, new_figure, to_picture

_RIGHT = '#17834c'


class TransferGraph(NamedTuple):
    """The graph of some images.

    Attributes:
        affinity: shape ``(N, N)``, a row is what an image receives from every other, see
            :meth:`mmvireid.evaluation.Ranking.affinity`.
        identity: shape ``(N,)`` int, the person of each image.
        is_query: shape ``(N,)`` bool; the others are the gallery and the only ones that send.
    """

    affinity: Tensor
    identity: np.ndarray
    is_query: np.ndarray

    def share_from_same_person(self) -> float:
        """Measure how much of what queries receive from the gallery is of their person.

        Returns:
            Percent.
        """
        received = self.affinity.numpy()[self.is_query][:, ~self.is_query]
        same = self.identity[self.is_query][:, None] == self.identity[~self.is_query]
        return 100 * float(received[same].sum() / max(received.sum(), 1e-12))


def draw_affinity(graphs: Mapping[str, TransferGraph]) -> Image.Image:
    """Draw graphs beside one another, on one scale.

    Rows receive: those of the gallery above, those of queries below. Columns are the images of
    the gallery, which send, person by person. What is sent within a person is framed.

    Args:
        graphs: title -> graph, its images in any order.

    Returns:
        The picture, RGB.
    """
    figure = new_figure((6.5 * len(graphs) + 0.8, 8))
    panels = figure.subplots(1, len(graphs), squeeze=False)[0]
    for panel, (title, graph) in zip(panels, graphs.items()):
        image = _draw_graph(panel, graph, title)
    figure.colorbar(image, ax=panels, label='weight (rows sum to one)', shrink=0.6)
    return to_picture(figure, 120)


def ranking_with_graph(rankings: Mapping[str, Ranking]) -> Ranking:
    """Find the first ranking that has a graph to show.

    Args:
        rankings: name -> ranking.

    Raises:
        EvaluationError: if none has.
    """
    for ranking in rankings.values():
        if ranking.scorer.affinity is not None:
            return ranking
    raise EvaluationError(
        f'none of the rankings {", ".join(rankings)} has a graph to draw: give a config whose '
        'rankings send features along one.')


def graph_of_people(images: ImageSet, ranking: Ranking, query: Modality = Modality.INFRARED, *,
                    people: int = 8, per_modality: int = 4, seed: int = 0) -> TransferGraph:
    """Form the graph of some people, as of a gallery and queries that hold no one else.

    Args:
        images: images with the descriptors of the ranking.
        ranking: one with a graph.
        query: modality of the queries; the images of the other are the gallery.
        people: how many people.
        per_modality: images at most of each in each modality.
        seed: decides people and images.

    Returns:
        The graph.

    Raises:
        EvaluationError: if the ranking has no graph, a descriptor is missing, or the people
            were not seen in both modalities.
    """
    images = images[choose_images(images.identity, images.modality, people, per_modality, seed)]
    is_query = images.modality == query
    if is_query.all() or not is_query.any():
        raise EvaluationError('the graph of a ranking needs test images of both modalities.')
    return TransferGraph(ranking.affinity(images, query), images.identity, is_query)


def _draw_graph(axes: Axes, graph: TransferGraph, title: str) -> object:
    """Draw one heat map: gallery rows above, query rows below."""
    order = np.lexsort((graph.identity, graph.is_query))
    identity, is_query = graph.identity[order], graph.is_query[order]
    senders = np.flatnonzero(~is_query)
    image = axes.imshow(
        graph.affinity.numpy()[order][:, order[senders]], cmap='magma_r', vmin=0, vmax=0.6,
        aspect='auto', interpolation='nearest')
    for person in np.unique(identity):
        columns = np.flatnonzero(identity[senders] == person)
        for part in (False, True):
            rows = np.flatnonzero((identity == person) & (is_query == part))
            if len(rows) and len(columns):
                axes.add_patch(Rectangle(
                    (columns[0] - 0.5, rows[0] - 0.5), len(columns), len(rows), fill=False,
                    edgecolor=_RIGHT, linewidth=1.2))
    border = len(senders) - 0.5
    axes.axhline(border, color=INK, linewidth=1)
    axes.set_yticks([border / 2, border + is_query.sum() / 2],
                    ['gallery receives', 'queries receive'], rotation=90, va='center')
    axes.set(xticks=[], xlabel='gallery images that send, person by person')
    axes.tick_params(length=0)
    axes.set_title(f'{title}\n{graph.share_from_same_person():.1f} % of what queries receive '
                   'from the gallery is of the right person', fontsize=10)
    return image
