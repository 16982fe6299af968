"""Distances of image pairs, counted: within a modality and across the two."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional

from mmvireid.clustering import (
    BalancedNeighbors,
    NeighborRule,
    PlainNeighbors,
    jaccard_pairs,
    k_reciprocal_encoding,
)
from mmvireid.evaluation.functional import cosine_distance
from mmvireid.search.topk import float_rows
from mmvireid.utils.errors import InputError

Array = np.ndarray | torch.Tensor
#: Images whose distances to all others are in memory at once.
_BLOCK = 64
#: Bins of the cosine distance before its range is known.
_FINE = 2000


@dataclass(frozen=True)
class PairHistogram:
    """How many pairs are at which distance.

    The first axis of all counts is 0 for pairs of the same person and 1 for pairs of
    different people, or 0 for all pairs where identities are unknown; the second is 0 for
    pairs within a modality and 1 for pairs across.

    Args:
        edges: shape ``(B + 1,)``, borders of the bins, ascending.
        counts: shape ``(P, 2, B)`` int64, pairs per bin.
        at_one: shape ``(P, 2)`` int64, pairs without a common neighbour, which are at
            Jaccard distance exactly 1 and in no bin; None for other distances.
        sums: shape ``(P, 2)``, sum of the distances of all pairs.
    """

    edges: np.ndarray
    counts: np.ndarray
    at_one: np.ndarray | None
    sums: np.ndarray

    @property
    def totals(self) -> np.ndarray:
        """Number of pairs, shape ``(P, 2)``."""
        binned = self.counts.sum(-1)
        return binned if self.at_one is None else binned + self.at_one

    @property
    def means(self) -> np.ndarray:
        """Mean distance, shape ``(P, 2)``, NaN where there is no pair."""
        return np.divide(self.sums, self.totals, out=np.full(self.sums.shape, np.nan),
                         where=self.totals > 0)


def pair_histograms(features: Array,
                    modality: np.ndarray,
                    identities: np.ndarray | None = None,
                    *,
                    num_images: int = 500,
                    num_bins: int = 40,
                    seed: int = 0,
                    plain: NeighborRule | None = None,
                    corrected: NeighborRule | None = None,
                    backend: str = 'torch') -> dict[str, PairHistogram]:
    """Count the distances between some random images and all others.

    The distances themselves are those among all images, since a Jaccard distance depends
    on all neighbours. Memory grows with the number of images, not with its square.

    Args:
        features: shape ``(N, D)`` float, torch (CPU or CUDA) or numpy.
        modality: shape ``(N,)`` int, 0 visible, 1 infrared.
        identities: shape ``(N,)`` int, None where unknown. Pairs with an image whose
            identity is negative, unknown, are left out.
        num_images: how many random images.
        num_bins: how many bins.
        seed: decides the choice of images.
        plain: neighbour rule of the plain distance; None for :class:`PlainNeighbors`.
        corrected: neighbour rule that balances the modalities; None for
            :class:`BalancedNeighbors`.
        backend: see :func:`mmvireid.clustering.jaccard_distance`.

    Returns:
        dict: ``'cosine'``; ``'jaccard'``, the distance by ``plain``; ``'modality_aware'``,
        that by ``corrected``.

    Raises:
        InputError: if there are not at least two images of each modality, or shapes do not
            agree.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import BalancedNeighbors, PlainNeighbors
        >>> from mmvireid.visualization import pair_histograms
        >>> rng = np.random.default_rng(0)
        >>> features = rng.standard_normal((40, 8))
        >>> features /= np.linalg.norm(features, axis=1, keepdims=True)
        >>> found = pair_histograms(
        ...     features, np.arange(40) % 2, plain=PlainNeighbors(k1=6, k2=2),
        ...     corrected=BalancedNeighbors(k1=6, k2=2), num_bins=10)
        >>> sorted(found)
        ['cosine', 'jaccard', 'modality_aware']
    """
    features = float_rows('features', features)
    modality = np.asarray(modality)
    if not len(features) == len(modality) == len(modality if identities is None else identities):
        raise InputError('features, modality and identities must be of the same length')
    if min((modality == value).sum() for value in (0, 1)) < 2:
        raise InputError('distances within and across modalities need at least two images of '
                         'each modality')
    num = len(features)
    rows = np.random.default_rng(seed).choice(num, min(num_images, num), replace=False)
    kinds = _Kinds(modality, None if identities is None else np.asarray(identities), rows)
    found = {'cosine': _cosine_histogram(features, kinds, num_bins)}
    rules = {'jaccard': plain or PlainNeighbors(),
             'modality_aware': corrected or BalancedNeighbors()}
    for name, rule in rules.items():
        encoding = k_reciprocal_encoding(features, rule(features, modality, backend=backend))
        distance = jaccard_pairs(encoding, rows, np.zeros_like(rows))
        found[name] = _jaccard_histogram(distance, kinds, num_bins)
    return found


class _Kinds:
    """Tell of which kind each pair of a chosen image and any other is.

    A kind is 2 for different people, else 0, plus 1 across modalities; -1 for an image and
    itself, and where somebody is unknown.
    """

    def __init__(self, modality: np.ndarray, identities: np.ndarray | None,
                 rows: np.ndarray) -> None:
        self.modality, self.identities, self.rows = modality, identities, rows
        self.shape = (1 if identities is None else 2, 2)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of the chosen images, each with kinds of shape ``(block, N)``."""
        for start in range(0, len(self.rows), _BLOCK):
            part = slice(start, min(start + _BLOCK, len(self.rows)))
            own = self.rows[part]
            kinds = (self.modality[own, None] != self.modality).astype(np.int64)
            if self.identities is not None:
                kinds += 2 * (self.identities[own, None] != self.identities)
                kinds[self.identities[own] < 0] = -1
                kinds[:, self.identities < 0] = -1
            kinds[np.arange(len(own)), own] = -1
            yield part, kinds


def _cosine_histogram(features: torch.Tensor, kinds: _Kinds, num_bins: int) -> PairHistogram:
    """Count cosine distances, in bins that reach as far as they do."""
    unit = functional.normalize(features, dim=1)
    fine = np.zeros((4, _FINE), dtype=np.int64)
    sums = np.zeros(4)
    for part, kind in kinds.blocks():
        own = unit[torch.from_numpy(kinds.rows[part]).to(unit.device)]
        distances = cosine_distance(own, unit).clamp_(0, 2).cpu().numpy()
        _add(fine, sums, kind, distances, 2.0)
    step = -(-int(np.flatnonzero(fine.any(0))[-1] + 1) // num_bins)  # fine bins of one bin
    padded = np.pad(fine, ((0, 0), (0, max(0, step * num_bins - _FINE))))
    counts = padded[:, :step * num_bins].reshape(4, num_bins, step).sum(-1)
    edges = np.arange(num_bins + 1) * step * 2.0 / _FINE
    return _histogram(edges, counts, None, sums, kinds.shape)


def _jaccard_histogram(distance: sparse.csr_matrix, kinds: _Kinds,
                       num_bins: int) -> PairHistogram:
    """Count Jaccard distances; pairs that are not stored are at distance 1."""
    counts = np.zeros((4, num_bins), dtype=np.int64)
    totals, sums = np.zeros(4, dtype=np.int64), np.zeros(4)
    for part, kind in kinds.blocks():
        near = distance[part].tocoo()
        _add(counts, sums, kind[near.row, near.col], near.data, 1.0)
        totals += np.bincount(kind[kind >= 0], minlength=4)
    at_one = totals - counts.sum(1)
    return _histogram(np.linspace(0, 1, num_bins + 1), counts, at_one, sums + at_one, kinds.shape)


def _add(counts: np.ndarray, sums: np.ndarray, kinds: np.ndarray, distances: np.ndarray,
         upper: float) -> None:
    """Add distances from 0 to ``upper`` to the counts and sums of their kinds, in place."""
    kept = kinds >= 0
    kinds, distances = kinds[kept], distances[kept].astype(np.float64)
    width = counts.shape[1]
    bins = np.minimum((distances * (width / upper)).astype(np.int64), width - 1)
    counts += np.bincount(kinds * width + bins, minlength=4 * width).reshape(4, width)
    sums += np.bincount(kinds, weights=distances, minlength=4)


def _histogram(edges: np.ndarray, counts: np.ndarray, at_one: np.ndarray | None,
               sums: np.ndarray, shape: tuple[int, int]) -> PairHistogram:
    """Give counts of kinds their two axes."""
    used = shape[0] * shape[1]
    return PairHistogram(edges, counts[:used].reshape(*shape, -1),
                         None if at_one is None else at_one[:used].reshape(shape),
                         sums[:used].reshape(shape))
