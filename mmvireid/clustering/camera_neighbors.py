"""Neighbour lists of each camera and across cameras (CA-Jaccard)."""

from typing import Tuple

import numpy as np
import torch

from mmvireid.search import self_topk

from .neighbors import NeighborLists, merge_lists, shortages


def camera_lists(features: torch.Tensor,
                 cameras: np.ndarray,
                 k1_intra: int = 5,
                 k1_inter: int = 20,
                 k2_intra: int = 2,
                 k2_inter: int = 4,
                 *,
                 backend: str = 'torch',
                 distributed: bool = False) -> NeighborLists:
    """Rank the images of an image's own camera and those of all other cameras apart.

    Images of one camera look alike, whoever they show, and crowd the images of other
    cameras out of a common ranking (Chen et al., "CA-Jaccard: Camera-aware Jaccard
    Distance for Person Re-identification", CVPR 2024). Two images are reciprocal
    neighbours if each is in the other's list: the list of the own camera if they share
    it, otherwise the list across cameras. Sets are not extended by half lists, and query
    expansion is one mean over the first of both lists.

    The own list counts the image itself, and both have one column more than their
    number, as the released code counts. Where there are fewer images the lists are
    shorter (the release fills them from the other kind). The release averages over 3 and 3
    images in its first epoch, when features know little of people.

    Args:
        features: shape ``(N, D)`` float32, ranked by inner product.
        cameras: shape ``(N,)`` int.
        k1_intra: neighbours from the own camera.
        k1_inter: neighbours from all other cameras together.
        k2_intra: images of the own camera, the image itself included, that query expansion
            averages over.
        k2_inter: images of other cameras that it averages over. 1 and 0 for no expansion.
        backend: search backend, see :func:`mmvireid.search.topk`.
        distributed: share the search, see :func:`mmvireid.search.self_topk`.

    Returns:
        NeighborLists: own camera and others in one full list, no half list, one expansion
        list.
    """
    names, own = np.unique(cameras, return_inverse=True)
    intra_columns, inter_columns = max(k1_intra + 1, k2_intra), max(k1_inter + 1, k2_inter)
    found = [
        (score.cpu().numpy(), rank.cpu().numpy())
        for score, rank in self_topk(features, max(intra_columns, inter_columns), groups=own,
                                     backend=backend, distributed=distributed)
    ]
    intra, inter = _intra(found, own, intra_columns), _inter(found, own, inter_columns)
    # A set of reciprocal neighbours within cameras and one across them need no separate
    # lists: two images are in one another's lists of the same kind or in neither.
    full = _close_gaps(np.concatenate([intra[:, :k1_intra + 1], inter[:, :k1_inter + 1]], axis=1))
    expansion = np.concatenate([intra[:, :k2_intra], inter[:, :k2_inter]], axis=1)
    return NeighborLists(
        full=full,
        half=full[:, :0],
        expansion=(expansion, ) if expansion.shape[1] > 1 else (),
        shortages=shortages(
            source for name, size in zip(names.tolist(), np.bincount(own).tolist()) for source in (
                (f'camera {name}', size, intra_columns),
                (f'everything outside of camera {name}', len(own) - size, inter_columns))))


def _intra(found: list, own: np.ndarray, columns: int) -> np.ndarray:
    """Take each image's list of its own camera, -1 behind the end."""
    ranks = np.full((len(own), columns), -1, dtype=np.int64)
    for camera, (_, rank) in enumerate(found):
        rows, width = own == camera, min(columns, rank.shape[1])
        ranks[rows, :width] = rank[rows, :width]
    return ranks


def _inter(found: list, own: np.ndarray, columns: int) -> np.ndarray:
    """Merge each image's lists of the other cameras, -1 behind the end."""
    scores, ranks = zip(*(_without(own == camera, *lists) for camera, lists in enumerate(found)))
    return merge_lists(scores, ranks, columns)[:, :columns]


def _without(rows: np.ndarray, scores: np.ndarray,
             ranks: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Empty the lists of some images."""
    scores, ranks = scores.copy(), ranks.copy()
    scores[rows], ranks[rows] = -np.inf, -1
    return scores, ranks


def _close_gaps(ranks: np.ndarray) -> np.ndarray:
    """Move -1 to the end of each list."""
    return np.take_along_axis(ranks, np.argsort(ranks < 0, axis=1, kind='stable'), 1)
