"""What a report shows of each query."""

from collections.abc import Iterable

import numpy as np

from mmvireid.evaluation.functional import RankMetrics
from mmvireid.structures import ImageSet, RetrievalResult

from ..ranking_list import ranked_gallery


class ImagePool:
    """The images that a report shows, each once, numbered in order of their first use.

    Args:
        images: all test images.
    """

    def __init__(self, images: ImageSet) -> None:
        self.images = images
        self._number: dict[int, int] = {}

    def add(self, rows: Iterable[int]) -> list[int]:
        """Give the number of each image, a new one where it is new.

        Args:
            rows: rows of the test images; negative ones stay as they are.

        Returns:
            One number a row.
        """
        return [
            row if row < 0 else self._number.setdefault(row, len(self._number))
            for row in map(int, rows)
        ]

    @property
    def paths(self) -> list[str]:
        """Paths of the images, by number."""
        return [str(self.images.img_path[row]) for row in self._number]

    def annotations(self) -> dict[str, list]:
        """List identity, camera and modality of the images, by number."""
        rows = np.fromiter(self._number, dtype=np.int64, count=len(self._number))
        return {
            name: getattr(self.images, name)[rows].tolist()
            for name in ('identity', 'camera', 'modality')
        }


def describe_queries(result: RetrievalResult, metrics: RankMetrics, gallery: np.ndarray,
                     pool: ImagePool, *, protocol: str, topk: int) -> dict[str, list]:
    """List what was found for each query.

    Args:
        result: the ranking of a trial.
        metrics: its outcome, as the metric counted it.
        gallery: shape ``(G,)``, rows of the gallery images in the test set.
        pool: takes the images that are shown.
        protocol: rules of the ranking.
        topk: how many gallery images a query.

    Returns:
        Columns with one entry a query, ``rank`` of the first match as CMC counts it, 0
        without a match; ``ap`` in thousandths, -1 without a match; ``near``, the numbers
        of the ``topk`` nearest images, and ``distance`` of each in thousandths; ``match``,
        number of the nearest right image, its position ``match_at`` among the gallery
        images and its ``match_distance``.
    """
    columns: dict[str, list] = {
        'rank': metrics.first_match_rank.tolist(),
        'ap': np.where(metrics.valid, np.nan_to_num(1000 * metrics.average_precision).round(),
                       -1).astype(int).tolist()
    }
    distance = (1000 * result.distance).round().int().cpu().numpy()
    near, far, match, match_at, match_distance = [], [], [], [], []
    for query, identity in enumerate(result.query.identity):
        order = ranked_gallery(result, query, len(gallery), protocol)
        shown = order[:topk]
        near.append(pool.add(gallery[shown]))
        far.append(distance[query, shown].tolist())
        right = np.flatnonzero(result.gallery.identity[order] == identity)
        first = order[right[0]] if len(right) else -1
        match += pool.add([gallery[first] if first >= 0 else -1])
        match_at.append(int(right[0]) + 1 if len(right) else 0)
        match_distance.append(int(distance[query, first]) if len(right) else 0)
    return dict(
        columns, near=near, distance=far, match=match, match_at=match_at,
        match_distance=match_distance)
