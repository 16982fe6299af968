"""Neighbour lists from which sets are formed: plain ones and balanced ones."""

from dataclasses import dataclass
from typing import Iterable, Sequence, Tuple

import numpy as np
import torch

from mmvireid.search import self_topk


@dataclass(frozen=True)
class NeighborLists:
    """The lists of each image that a k-reciprocal encoding is made of.

    All hold image indices, nearest first, ``-1`` behind the end of a short list.

    Args:
        full: shape ``(N, K)``, the list that makes the neighbours ``R(i, k1)``.
        half: shape ``(N, H)``, the shorter list that makes ``R(c, k1 / 2)``, by which sets
            are extended.
        expansion: tuple of lists of shape ``(N, E)``: query expansion averages over each
            of them, then over the lists. Empty for no query expansion.
        shortages: sentences that say which lists are shorter than asked for.
    """

    full: np.ndarray
    half: np.ndarray
    expansion: Tuple[np.ndarray, ...]
    shortages: Tuple[str, ...] = ()


def half_of(k1: int) -> int:
    """Return ``k1 / 2``, 7.5 rounded to the even 8, as the published code rounds.

    Args:
        k1: neighbours of an image.
    """
    return round(k1 / 2)


def plain_lists(features: torch.Tensor,
                k1: int,
                k2: int,
                *,
                backend: str = 'torch',
                distributed: bool = False) -> NeighborLists:
    """Rank all images together by Euclidean distance.

    ``k1`` columns include the image itself, and the half list has one column more than
    half of ``k1`` (Zhong et al., "Re-ranking Person Re-identification with k-reciprocal
    Encoding", CVPR 2017, as its code counts).

    Args:
        features: shape ``(N, D)`` float32.
        k1: length of the full list.
        k2: length of the expansion list, 1 for no expansion.
        backend: search backend, see :func:`mmvireid.search.topk`.
        distributed: share the search, see :func:`mmvireid.search.self_topk`.

    Returns:
        NeighborLists: one expansion list.
    """
    columns = max(k1, k2)
    (_, ranks), = self_topk(
        features, columns, metric='l2', backend=backend, distributed=distributed)
    ranks = ranks.cpu().numpy()
    return NeighborLists(
        full=ranks[:, :k1],
        half=ranks[:, :min(half_of(k1) + 1, k1)],
        expansion=(ranks[:, :k2], ) if k2 > 1 else (),
        shortages=shortages([('the data', len(features), columns)]))


def balanced_lists(features: torch.Tensor,
                   modality: np.ndarray,
                   k1: int,
                   k2: int,
                   *,
                   half_list: str = 'merged',
                   split_k2: bool = False,
                   backend: str = 'torch',
                   distributed: bool = False) -> NeighborLists:
    """Take half of each list from the visible and half from the infrared images.

    The nearest images of anyone are mostly of the own modality; taking ``k1 // 2`` from
    each and merging them by inner product keeps the other modality in every list (BMIL,
    arXiv 2512.07760, modality-aware nearest neighbours).

    Args:
        features: shape ``(N, D)`` float32.
        modality: shape ``(N,)`` int64, 0 visible, 1 infrared.
        k1: length of the full list, ``k1 // 2`` from each modality.
        k2: length of each modality's expansion list, 1 for no expansion.
        half_list: ``'merged'``, the first columns of the merged list (the release), or
            ``'balanced'``, again one half from each modality.
        split_k2: take ``k2 // 2`` (at least 1) images per modality instead of ``k2``: the
            paper's text.
        backend: search backend, see :func:`mmvireid.search.topk`.
        distributed: share the search, see :func:`mmvireid.search.self_topk`.

    Returns:
        NeighborLists: one expansion list per modality present.
    """
    share = k1 // 2
    length = max(1, k2 // 2) if split_k2 else k2
    columns = max(share, length, 1)
    found = self_topk(
        features, columns, groups=modality, backend=backend, distributed=distributed)
    scores = [score.cpu().numpy() for score, _ in found]
    ranks = [rank.cpu().numpy() for _, rank in found]
    half = min(half_of(k1) + 1, k1)
    full = merge_lists(scores, ranks, share)
    if half_list == 'balanced':
        half_ranks = merge_lists(scores, ranks, half // 2)
    else:
        half_ranks = full[:, :half]
    return NeighborLists(
        full=full,
        half=half_ranks,
        expansion=tuple(rank[:, :length] for rank in ranks) if k2 > 1 else (),
        shortages=shortages((f'the {name} modality', int((modality == value).sum()), columns)
                            for value, name in enumerate(('visible', 'infrared'))))


def reweighted_lists(features: torch.Tensor,
                     modality: np.ndarray,
                     k1: int,
                     k2: int,
                     *,
                     backend: str = 'torch',
                     distributed: bool = False) -> NeighborLists:
    """Rank all images together; balance the modalities in the query expansion only.

    The visible and the infrared ones among the first ``k2`` get the same total weight.
    This is the distance of earlier work, which BMIL's own replaces.

    Args:
        features: shape ``(N, D)`` float32.
        modality: shape ``(N,)`` int64, 0 visible, 1 infrared.
        k1: length of the full list.
        k2: length of the expansion list, 1 for no expansion.
        backend: search backend, see :func:`mmvireid.search.topk`.
        distributed: share the search, see :func:`mmvireid.search.self_topk`.

    Returns:
        NeighborLists: two expansion lists, holes where a neighbour is of the other
        modality.
    """
    lists = plain_lists(features, k1, k2, backend=backend, distributed=distributed)
    if not lists.expansion:
        return lists
    ranks, = lists.expansion
    split = tuple(np.where(modality[ranks] == value, ranks, -1) for value in (0, 1))
    return NeighborLists(lists.full, lists.half, split, lists.shortages)


def merge_lists(scores: Sequence[np.ndarray], ranks: Sequence[np.ndarray],
                share: int) -> np.ndarray:
    """Merge the first columns of several lists of each image, best score first.

    Args:
        scores: shape ``(N, K)`` each, -inf where there is no neighbour.
        ranks: shape ``(N, K)`` each, the neighbours.
        share: columns to take from each.

    Returns:
        np.ndarray: shape ``(N, sum of min(K, share))``, equal scores by index.
    """
    score = np.concatenate([part[:, :share] for part in scores], axis=1)
    rank = np.concatenate([part[:, :share] for part in ranks], axis=1)
    # Sorting by index first makes the stable sort by score give ties to the lower index.
    order = np.argsort(rank, axis=1)
    rank = np.take_along_axis(rank, order, 1)
    score = np.take_along_axis(score, order, 1)
    return np.take_along_axis(rank, np.argsort(-score, axis=1, kind='stable'), 1)


def shortages(sources: Iterable[Tuple[str, int, int]]) -> Tuple[str, ...]:
    """Say where there are fewer images than neighbours asked for.

    Args:
        sources: name, number of images and number of neighbours asked for.

    Returns:
        tuple: a sentence for each that is too small.
    """
    return tuple(
        f'{name} has only {available} images where {wanted} neighbours were asked for; lists are '
        'as long as the data allow' for name, available, wanted in sources if available < wanted)
