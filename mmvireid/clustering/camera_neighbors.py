"""Neighbour lists of each camera and across cameras (CA-Jaccard)."""

from typing import Any

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS
from mmvireid.search import self_topk
from mmvireid.utils.errors import ConfigError

from .neighbors import NeighborLists, NeighborRule, merge_lists, shortages


@TASK_UTILS.register_module()
class CameraNeighbors(NeighborRule):
    """Rank the images of an image's own camera and those of all other cameras apart.

    Images of one camera look alike, whoever they show, and crowd the images of other
    cameras out of a common ranking (Chen et al., "CA-Jaccard: Camera-aware Jaccard
    Distance for Person Re-identification", CVPR 2024). Two images are reciprocal
    neighbours if each is in the other's list: the list of the own camera if they share
    it, otherwise the list across cameras. Sets are not extended by half lists, and query
    expansion is one mean over the first of both lists. Meant for the images of one
    modality.

    The own list counts the image itself, and both have one column more than their
    number, as the released code counts. Where there are fewer images the lists are
    shorter (the release fills them from the other kind). The release averages over 3 and 3
    images in its first epoch, when features know little of people.

    Args:
        k1_intra: neighbours from the own camera.
        k1_inter: neighbours from all other cameras together.
        k2_intra: images of the own camera, the image itself included, that query expansion
            averages over.
        k2_inter: images of other cameras that it averages over. 1 and 0 for no expansion.

    Raises:
        ConfigError: if ``k2_inter`` is negative or another below 1.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import CameraNeighbors
        >>> rows = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
        >>> rule = CameraNeighbors(k1_intra=1, k1_inter=1)
        >>> rule(rows, cameras=torch.tensor([1, 1, 2, 2])).full.tolist()
        [[0, 1, 2, 3], [1, 0, 2, 3], [2, 3, 1, 0], [3, 2, 1, 0]]
    """

    needs = ('cameras', )

    def __init__(self,
                 k1_intra: int = 5,
                 k1_inter: int = 20,
                 k2_intra: int = 2,
                 k2_inter: int = 4) -> None:
        if min(k1_intra, k1_inter, k2_intra) < 1 or k2_inter < 0:
            raise ConfigError('k1_intra, k1_inter and k2_intra must be at least 1, k2_inter at '
                              f'least 0, got {k1_intra}, {k1_inter}, {k2_intra} and {k2_inter}')
        self.k1_intra = k1_intra
        self.k1_inter = k1_inter
        self.k2_intra = k2_intra
        self.k2_inter = k2_inter

    def lists(self, features: torch.Tensor, cameras: np.ndarray, **search: Any) -> NeighborLists:
        """Search the lists.

        Args:
            features: shape ``(N, D)`` float32, ranked by inner product.
            cameras: shape ``(N,)`` int.
            **search: options of the search.

        Returns:
            NeighborLists: own camera and others in one full list, no half list, one
            expansion list.
        """
        names, own = np.unique(cameras, return_inverse=True)
        intra_columns = max(self.k1_intra + 1, self.k2_intra)
        inter_columns = max(self.k1_inter + 1, self.k2_inter)
        found = [
            (score.cpu().numpy(), rank.cpu().numpy())
            for score, rank in self_topk(features, max(intra_columns, inter_columns), groups=own,
                                         **search)
        ]
        intra = _lists_of_own_group(found, own, intra_columns)
        inter = _lists_across_groups(found, own, inter_columns)
        # A set of reciprocal neighbours within cameras and one across them need no separate
        # lists: two images are in one another's lists of the same kind or in neither.
        full = _close_gaps(
            np.concatenate([intra[:, :self.k1_intra + 1], inter[:, :self.k1_inter + 1]], axis=1))
        expansion = np.concatenate([intra[:, :self.k2_intra], inter[:, :self.k2_inter]], axis=1)
        return NeighborLists(
            full=full,
            half=full[:, :0],
            expansion=(expansion, ) if expansion.shape[1] > 1 else (),
            shortages=shortages(
                source for name, size in zip(names.tolist(), np.bincount(own).tolist())
                for source in ((f'camera {name}', size, intra_columns),
                               (f'everything outside of camera {name}', len(own) - size,
                                inter_columns))))


def _lists_of_own_group(found: list, own: np.ndarray, columns: int) -> np.ndarray:
    """Take each image's list of its own group, -1 behind the end."""
    ranks = np.full((len(own), columns), -1, dtype=np.int64)
    for group, (_, rank) in enumerate(found):
        rows, width = own == group, min(columns, rank.shape[1])
        ranks[rows, :width] = rank[rows, :width]
    return ranks


def _lists_across_groups(found: list, own: np.ndarray, columns: int) -> np.ndarray:
    """Merge each image's lists of the other groups, -1 behind the end."""
    scores, ranks = [], []
    for group, (score, rank) in enumerate(found):
        # An image takes nothing from its own group here: the list is emptied, not left out,
        # so that all images have lists of the same length to merge.
        empty = (own == group)[:, None]
        scores.append(np.where(empty, -np.inf, score))
        ranks.append(np.where(empty, -1, rank))
    return merge_lists(scores, ranks, columns)[:, :columns]


def _close_gaps(ranks: np.ndarray) -> np.ndarray:
    """Move -1 to the end of each list, where the kernels stop reading."""
    return np.take_along_axis(ranks, np.argsort(ranks < 0, axis=1, kind='stable'), 1)
