"""Where the descriptors of a gallery are kept, and how queries find their nearest."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch

from mmvireid.evaluation.rankings import Nearest, RankedGallery, Ranking
from mmvireid.search import GalleryIndex
from mmvireid.structures import ImageSet, RetrievalResult
from mmvireid.utils.errors import ConfigError, InputError


class Gallery(ABC):
    """What a search needs of a gallery."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def nearest(self, ranking: Ranking, query: ImageSet, k: int) -> Nearest:
        """Find the nearest images.

        Args:
            ranking: what to compare.
            query: Q queries of one modality, with descriptors.
            k: number of images.

        Returns:
            Shape ``(Q, min(k, G))``.

        Raises:
            ConfigError: if this gallery cannot serve the ranking.
            MMVIReIDError: if queries or gallery lack a descriptor, or have it from different
                models.
        """

    @abstractmethod
    def take(self, rows: np.ndarray) -> ImageSet:
        """Return images without their descriptors; ``sample_idx`` is the row.

        Args:
            rows: shape ``(K,)``.
        """


class MemoryGallery(Gallery):
    """A gallery whose descriptors are in memory; it serves every ranking.

    Each ranking prepares it once, when it is first used: plain descriptors are compared block
    by block, a graph is formed over the gallery. Post-processors, such as re-ranking, see all
    queries of a modality at once, with the whole matrix of distances.

    Args:
        images: G images with descriptors.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from mmvireid.evaluation import build_rankings
        >>> from mmvireid.inference.galleries import MemoryGallery
        >>> from mmvireid.structures import ImageSet
        >>> def images(rows, modality):
        ...     zeros = np.zeros(len(rows), dtype=int)
        ...     return ImageSet(dict(base=torch.tensor(rows)), zeros, zeros, zeros + modality,
        ...                     np.arange(len(rows)))
        >>> gallery = MemoryGallery(images([[1., 0.], [0., 1.], [0.6, 0.8]], 0))
        >>> found = gallery.nearest(build_rankings()['base'], images([[0., 1.]], 1), k=2)
        >>> found.rows.tolist(), [round(value, 2) for value in found.distance[0].tolist()]
        ([[1, 2]], [0.0, 0.2])
    """

    def __init__(self, images: ImageSet) -> None:
        self.images = images
        self._annotations = ImageSet(
            {}, images.identity, images.camera, images.modality, np.arange(len(images)),
            images.img_path)
        self._ranked: dict[Ranking, RankedGallery] = {}

    def __len__(self) -> int:
        return len(self.images)

    def nearest(self, ranking: Ranking, query: ImageSet, k: int) -> Nearest:
        """Find the nearest images; the first call with a ranking prepares the gallery for it."""
        if ranking not in self._ranked:
            self._ranked[ranking] = ranking.prepare(self.images)
        return self._ranked[ranking].nearest(query, k)

    def take(self, rows: np.ndarray) -> ImageSet:
        """Return images as they were given, without their descriptors."""
        return self._annotations[rows]


class StoredGallery(Gallery):
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
        """Find the nearest images, if the ranking compares the descriptor and nothing else."""
        name = stored_descriptor(ranking)
        if name != self.descriptor:
            raise ConfigError(
                f'the index holds the descriptor "{self.descriptor}", the ranking '
                f'"{ranking.name}" needs "{name}": make an index for this ranking.')
        if name not in query.descriptors:
            raise InputError(
                f'the ranking "{ranking.name}" needs the descriptor "{name}", but the queries '
                f'have {", ".join(sorted(query.descriptors)) or "none"}: choose another ranking.')
        return Nearest(*self.index.search(query.descriptors[name], k))

    def take(self, rows: np.ndarray) -> ImageSet:
        """Return images as the index knows them."""
        info = self.index.info(rows)
        return ImageSet({}, info.identity, info.camera, info.modality, rows, list(info.ids))


def stored_descriptor(ranking: Ranking) -> str:
    """Name the descriptor that a gallery on disk holds for a ranking.

    Args:
        ranking: what the gallery is for.

    Returns:
        Its one descriptor.

    Raises:
        ConfigError: if it does more than compare one descriptor.
    """
    if ranking.single_descriptor is None:
        raise ConfigError(
            f'the ranking "{ranking.label}" needs the whole gallery in memory, and a stored '
            'index compares one descriptor: index without a path, or choose another ranking.')
    return ranking.single_descriptor


def cut_results(query: ImageSet, gallery: Gallery, nearest: Sequence[tuple | None],
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

