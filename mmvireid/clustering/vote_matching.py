"""Matching by votes: pairs of similar images say which clusters are one person."""

import logging

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS
from mmvireid.search.topk import float_rows
from mmvireid.structures import ImageSet
from mmvireid.utils.errors import InputError
from mmvireid.utils.precision import full_precision

from .matching import Array, Associator, ClusterMatch
from .prototypes import cluster_positions
from .vote_kernel import count_block

logger = logging.getLogger(__name__)

#: Images of a block of similarities, visible and infrared ones: 32 MiB, and 128 MiB for the
#: places of all its entries, should all of them vote on a GPU.
ROWS, COLUMNS = 1024, 8192


def cross_modality_votes(visible: Array,
                         infrared: Array,
                         visible_labels: Array,
                         infrared_labels: Array,
                         *,
                         threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Count, for each pair of clusters, the pairs of images that are similar.

    The votes of ADCA's cross-modality memory aggregation (ACM MM 2022). Similarities are
    computed and consumed in blocks; of the images nothing but a block is copied.

    Args:
        visible: shape ``(Nv, D)`` float, features of images, torch (CPU or CUDA) or numpy,
            compared by their inner products as they are.
        infrared: shape ``(Ni, D)`` float.
        visible_labels: shape ``(Nv,)`` int, clusters from 0, -1 for images that do not vote.
        infrared_labels: shape ``(Ni,)`` int.
        threshold: least similarity of a pair that votes.

    Returns:
        tuple: the votes, shape ``(Kv, Ki)`` int64, and the largest similarity among those
        that voted, shape ``(Kv, Ki)`` float32, minus infinity where none did. Both numpy.

    Raises:
        InputError: if shapes do not agree or a value is not finite.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import cross_modality_votes
        >>> visible, infrared = np.eye(2), np.array([[0.9, 0.1], [0.6, 0.0]])
        >>> votes, best = cross_modality_votes(visible, infrared, [0, 1], [0, 0])
        >>> votes.tolist(), best.round(2).tolist()
        ([[2], [0]], [[0.8999999761581421], [-inf]])
    """
    rows = float_rows('visible', visible)
    columns = float_rows('infrared', infrared).to(rows.device)
    labels = [np.asarray(torch.as_tensor(given).cpu(), dtype=np.int64)
              for given in (visible_labels, infrared_labels)]
    for name, images, given in (('visible', rows, labels[0]), ('infrared', columns, labels[1])):
        if given.shape != images.shape[:1]:
            raise InputError(
                f'{len(images)} {name} images got labels of shape {given.shape}')
    if rows.shape[1] != columns.shape[1]:
        raise InputError(f'visible features have {rows.shape[1]} dimensions, infrared ones '
                         f'{columns.shape[1]}')
    shape = tuple(int(given.max(initial=-1)) + 1 for given in labels)
    votes, best = np.zeros(shape, np.int64), np.full(shape, -np.inf, np.float32)
    # Images of a cluster side by side, those without one left out.
    orders = [np.argsort(given, kind='stable')[(given < 0).sum():] for given in labels]
    count = _count_on_gpu if rows.is_cuda else _count_on_cpu
    with full_precision(rows):
        for first in range(0, len(orders[1]), COLUMNS):
            right = orders[1][first:first + COLUMNS]
            images = columns[torch.from_numpy(right).to(columns.device)].T
            for start in range(0, len(orders[0]), ROWS):
                left = orders[0][start:start + ROWS]
                block = rows[torch.from_numpy(left).to(rows.device)] @ images
                count(block, labels[0][left], labels[1][right], threshold, votes, best)
    return votes, best


def _count_on_cpu(block: torch.Tensor, left: np.ndarray, right: np.ndarray, threshold: float,
                  votes: np.ndarray, best: np.ndarray) -> None:
    """Add the votes of a block, whose rows and columns are sorted by cluster, in place."""
    bounds = []
    for sorted_labels in (left, right):
        clusters, starts = np.unique(sorted_labels, return_index=True)
        bounds += [np.append(starts, len(sorted_labels)), clusters]
    count_block(block.numpy(), *bounds, np.float32(threshold), votes, best)


def _count_on_gpu(block: torch.Tensor, left: np.ndarray, right: np.ndarray, threshold: float,
                  votes: np.ndarray, best: np.ndarray) -> None:
    """Add the votes of a block on any device, in place."""
    left, right = (torch.from_numpy(labels).to(block.device) for labels in (left, right))
    rows, columns = torch.nonzero(block >= threshold, as_tuple=True)
    pairs = left[rows] * votes.shape[1] + right[columns]
    votes += torch.bincount(pairs, minlength=votes.size).view(votes.shape).cpu().numpy()
    top = block.new_full((votes.size, ), -torch.inf).scatter_reduce_(
        0, pairs, block[rows, columns], 'amax')
    np.maximum(best, top.view(votes.shape).cpu().numpy(), out=best)


def greedy_matching(votes: Array, best: Array | None = None) -> np.ndarray:
    """Take pairs of clusters by their votes, the most first, each cluster at most once.

    Args:
        votes: shape ``(Kv, Ki)`` int. Pairs without a vote are not taken.
        best: shape ``(Kv, Ki)`` float, which of two pairs with as many votes comes first:
            that with the larger value. None, and equal values, leave it to the position.

    Returns:
        np.ndarray: shape ``(P, 2)`` int64, visible and infrared cluster, in the order in
        which they were taken.

    Raises:
        InputError: if shapes do not agree.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import greedy_matching
        >>> greedy_matching(np.array([[5, 4], [4, 0], [1, 2]]))
        array([[0, 0],
               [2, 1]])
    """
    votes = np.asarray(torch.as_tensor(votes).cpu())
    best = np.zeros(votes.shape) if best is None else np.asarray(torch.as_tensor(best).cpu())
    if votes.ndim != 2 or best.shape != votes.shape:
        raise InputError('votes must be of shape (visible clusters, infrared clusters) and best '
                         f'of the same, got {votes.shape} and {best.shape}')
    visible, infrared = np.nonzero(votes)
    # The last key counts first; positions, which come in ascending order, decide what is equal.
    order = np.lexsort((-best[visible, infrared], -votes[visible, infrared]))
    free = np.ones(votes.shape[0], bool), np.ones(votes.shape[1], bool)
    pairs = []
    for v, i in zip(visible[order].tolist(), infrared[order].tolist()):
        if free[0][v] and free[1][i]:
            free[0][v] = free[1][i] = False
            pairs.append((v, i))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@TASK_UTILS.register_module()
class VoteMatching(Associator):
    """Match clusters one to one by the votes of similar images; some stay alone.

    The matching of ADCA's cross-modality memory aggregation (ACM MM 2022):
    :func:`cross_modality_votes`, then :func:`greedy_matching`. In the log of an epoch
    ``votes`` is how many pairs of images voted: none, or nearly all, says that the threshold
    does not fit the features.

    Args:
        threshold: least similarity of a pair of images that votes.
        descriptor: name of the descriptor that is compared.
    """

    def __init__(self, threshold: float = 0.5, descriptor: str = 'base') -> None:
        super().__init__(descriptor)
        self.threshold = threshold

    def __call__(self, images: ImageSet, clusters: np.ndarray) -> ClusterMatch:
        """Match clusters by the votes of their images, see :class:`Associator`."""
        features = images.descriptors[self.descriptor]
        # All images stand on either side, without copies; those of the other modality do
        # not vote there.
        labels = [cluster_positions(clusters, images.modality == value) for value in (0, 1)]
        votes, best = cross_modality_votes(
            features, features, *labels, threshold=self.threshold)
        if not votes.any():
            logger.warning(
                'No visible and infrared image in clusters have a similarity of %g or more, so '
                'no clusters are matched and each modality learns by itself: lower the '
                'threshold of the associator if it stays so.', self.threshold)
        maps = [np.full(size, -1, dtype=np.int64) for size in votes.shape]
        pairs = greedy_matching(votes, best)
        maps[0][pairs[:, 0]], maps[1][pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
        return ClusterMatch(*maps, notes={'votes': int(votes.sum())})
