"""Where the descriptors of a gallery are kept, and how queries find their nearest."""

from typing import Mapping, NamedTuple, Optional, Protocol, Sequence, Union

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from mmvireid.config import as_list
from mmvireid.models import GraphTransfer
from mmvireid.models.graph_transfer import QUERY_MODALITY
from mmvireid.models.graph_transfer.scorer import query_direction
from mmvireid.registry import TASK_UTILS
from mmvireid.search import GalleryIndex, topk
from mmvireid.structures import ImageSet, Modality, RetrievalResult
from mmvireid.utils.errors import ConfigError

from .image_inputs import InputError


class Ranking(NamedTuple):
    """One way to rank a gallery, as ``rankings`` of a config's evaluator says.

    Attributes:
        name: its name.
        descriptor: name of a descriptor, or one for each modality of the queries.
        post: post-processors of the distance, in order.
    """

    name: str
    descriptor: Union[str, Mapping[str, str]] = 'base'
    post: Sequence = ()

    def descriptor_for(self, modality: int) -> str:
        """Return the name of the descriptor for queries of a modality.

        Args:
            modality: 0 visible, 1 infrared.
        """
        if isinstance(self.descriptor, str):
            return self.descriptor
        return self.descriptor[Modality(modality).name.lower()]

    @property
    def descriptors(self) -> set[str]:
        """All descriptors that it compares, whatever the queries."""
        if any(isinstance(post, GraphTransfer) for post in self.post):
            return set(QUERY_MODALITY)
        if isinstance(self.descriptor, str):
            return {self.descriptor}
        return set(self.descriptor.values())


class Nearest(NamedTuple):
    """What is nearest to each query.

    Attributes:
        distance: shape ``(Q, K)``, nearest first.
        rows: shape ``(Q, K)`` int64, rows of the gallery; -1 where fewer were found.
    """

    distance: Tensor
    rows: Tensor


class Gallery(Protocol):
    """What a search needs of a gallery."""

    def __len__(self) -> int:
        """Return the number of images."""

    def nearest(self, ranking: Ranking, query: ImageSet, k: int) -> Nearest:
        """Find the nearest images.

        Args:
            ranking: what to compare.
            query: Q queries of one modality, with descriptors.
            k: number of images.

        Returns:
            Shape ``(Q, min(k, G))``.
        """

    def take(self, rows: np.ndarray) -> ImageSet:
        """Return images without their descriptors; ``sample_idx`` is the row.

        Args:
            rows: shape ``(K,)``.
        """


def read_rankings(cfg: Config) -> dict[str, Ranking]:
    """Build the rankings of a config's test.

    Args:
        cfg: config; without ``test_evaluator`` or ``rankings`` there is one, ``base``.

    Returns:
        Name -> ranking, in the order of the config.
    """
    evaluators = as_list(cfg.get('test_evaluator') or {})
    entries = (evaluators[0] if evaluators else {}).get('rankings') or {'base': {}}
    return {
        name: Ranking(name, entry.get('descriptor', 'base'),
                      [TASK_UTILS.build(post) for post in entry.get('post', ())])
        for name, entry in entries.items()
    }


class MemoryGallery:
    """A gallery whose descriptors are in memory; it serves every ranking.

    A plain descriptor is compared block by block. CIFT's graph is formed over the gallery
    once, when a ranking first needs it. Any other post-processor, such as re-ranking,
    sees all queries of a modality at once, with the whole matrix of distances.

    Args:
        images: G images with descriptors.
    """

    def __init__(self, images: ImageSet) -> None:
        self.images = images
        self._annotations = ImageSet(
            {}, images.identity, images.camera, images.modality, np.arange(len(images)),
            images.img_path)
        self._transferred: dict[tuple, Tensor] = {}

    def __len__(self) -> int:
        return len(self.images)

    def nearest(self, ranking: Ranking, query: ImageSet, k: int) -> Nearest:
        """Find the nearest images.

        Args:
            ranking: what to compare.
            query: Q queries of one modality, with descriptors.
            k: number of images.

        Returns:
            Shape ``(Q, min(k, G))``.

        Raises:
            InputError: if queries or gallery lack the descriptor, or have it from different
                models.
        """
        graph = len(ranking.post) == 1 and isinstance(ranking.post[0], GraphTransfer)
        name = query_direction(query.modality) if graph else (
            ranking.descriptor_for(query.modality[0]))
        rows, gallery = _rows(query, name, ranking), _rows(self.images, name, ranking)
        if rows.shape[1] != gallery.shape[1]:
            raise InputError(
                f'the gallery has descriptors of {gallery.shape[1]} dimensions, the queries of '
                f'{rows.shape[1]}: index the gallery with the same model.')
        if graph:
            transfer = ranking.post[0]
            rows = transfer.query_rows(rows, gallery)
            gallery = self._graph_rows(transfer, name, gallery)
        elif ranking.post:
            return self._post_processed(ranking, name, query, k)
        score, found = topk(rows, gallery, k)
        return Nearest(1 - score, found)

    def take(self, rows: np.ndarray) -> ImageSet:
        """Return images without their descriptors; ``sample_idx`` is the row.

        Args:
            rows: shape ``(K,)``.
        """
        return self._annotations[rows]

    def _graph_rows(self, transfer: GraphTransfer, name: str, gallery: Tensor) -> Tensor:
        key = (name, *transfer.graph.values())
        if key not in self._transferred:
            self._transferred[key] = transfer.gallery_rows(gallery)
        return self._transferred[key]

    def _post_processed(self, ranking: Ranking, name: str, query: ImageSet, k: int) -> Nearest:
        result = RetrievalResult.from_descriptors(query, self.images, name)
        for post in ranking.post:
            result = post(result)
        distance, rows = result.distance.sort(dim=1, stable=True)
        return Nearest(distance[:, :k], rows[:, :k])


class StoredGallery:
    """A gallery in a :class:`mmvireid.search.GalleryIndex`, for one descriptor.

    Args:
        index: the index; its ids are the paths of the images.
        descriptor: what it holds.
    """

    def __init__(self, index: GalleryIndex, descriptor: str) -> None:
        self.index = index
        self.descriptor = descriptor

    def __len__(self) -> int:
        return len(self.index)

    def nearest(self, ranking: Ranking, query: ImageSet, k: int) -> Nearest:
        """Find the nearest images.

        Args:
            ranking: what to compare.
            query: Q queries of one modality, with descriptors.
            k: number of images.

        Returns:
            Shape ``(Q, min(k, G))``.

        Raises:
            ConfigError: if the ranking is not a comparison of the descriptor alone.
        """
        check_storable(ranking)
        name = ranking.descriptor_for(query.modality[0])
        if name != self.descriptor:
            raise ConfigError(
                f'the index holds the descriptor "{self.descriptor}", the ranking '
                f'"{ranking.name}" needs "{name}": make an index for this ranking.')
        return Nearest(*self.index.search(_rows(query, name, ranking), k))

    def take(self, rows: np.ndarray) -> ImageSet:
        """Return images without their descriptors; ``sample_idx`` is the row.

        Args:
            rows: shape ``(K,)``.
        """
        info = self.index.info(rows)
        return ImageSet({}, info.identity, info.camera, info.modality, rows, list(info.ids))


def check_storable(ranking: Ranking) -> None:
    """Refuse to keep a gallery on disk for a ranking that needs it as a whole.

    Args:
        ranking: what the gallery is for.

    Raises:
        ConfigError: if it does more than compare one descriptor.
    """
    if ranking.post or not isinstance(ranking.descriptor, str):
        steps = ', '.join(type(post).__name__ for post in ranking.post) or 'several descriptors'
        raise ConfigError(
            f'the ranking "{ranking.name}" ({steps}) needs the whole gallery in memory, and a '
            'stored index compares one descriptor: index without a path, or choose another '
            'ranking.')


def _rows(images: ImageSet, name: str, ranking: Ranking) -> Tensor:
    if name not in images.descriptors:
        raise InputError(
            f'the ranking "{ranking.name}" needs the descriptor "{name}" here, but there is '
            f'{", ".join(sorted(images.descriptors)) or "none"}: choose another ranking, or index '
            'the gallery for this one.')
    return images.descriptors[name]


def cut_results(query: ImageSet, gallery: Gallery, nearest: Sequence[Optional[tuple]],
                descriptor: Sequence[str]) -> list[RetrievalResult]:
    """Make a result of each query that holds its nearest images alone.

    Args:
        query: Q queries; their descriptors are left out.
        gallery: where the images are.
        nearest: for each query its distances and rows, both of shape ``(K,)``.
        descriptor: for each query the name of the descriptor.

    Returns:
        Q results of one query and up to K gallery images each, nearest first.
    """
    queries = ImageSet({}, query.identity, query.camera, query.modality, query.sample_idx,
                       query.img_path)
    results = []
    for number, (distance, rows) in enumerate(nearest):
        found = rows >= 0
        results.append(RetrievalResult(
            queries[number:number + 1], gallery.take(rows[found].numpy()),
            distance[found][None], descriptor[number]))
    return results


def merge_results(results: Sequence[RetrievalResult]) -> RetrievalResult:
    """Put results of one query each side by side, for drawing.

    Args:
        results: at least one, none of them empty.

    Returns:
        All queries and the images of all results; the distance is infinite between a query
        and what another one found.
    """
    counts = [len(result.gallery) for result in results]
    distance = torch.full((len(results), sum(counts)), torch.inf)
    start = 0
    for row, (result, count) in enumerate(zip(results, counts)):
        distance[row, start:start + count] = result.distance[0]
        start += count
    return RetrievalResult(
        _join([result.query for result in results]),
        _join([result.gallery for result in results]), distance, results[0].descriptor)


def _join(sets: Sequence[ImageSet]) -> ImageSet:
    columns = {
        name: np.concatenate([getattr(images, name) for images in sets])
        for name in ('identity', 'camera', 'modality', 'sample_idx')
    }
    return ImageSet({}, img_path=[path for images in sets for path in images.img_path], **columns)

