"""From features to pseudo labels."""

import logging

import numpy as np
import torch
from scipy import sparse
from sklearn.cluster import DBSCAN

from mmvireid.registry import TASK_UTILS
from mmvireid.search.topk import float_rows
from mmvireid.utils.errors import InputError
from mmvireid.utils.log_once import LogOnce
from mmvireid.utils.processes import main_process_computes

from .encoding import distinct_rows, k_reciprocal_encoding
from .jaccard import distance_of_encoding
from .neighbors import NeighborRule, PlainNeighbors

Array = np.ndarray | torch.Tensor

logger = logging.getLogger(__name__)


def dbscan_labels(distance: sparse.csr_matrix,
                  *,
                  eps: float,
                  min_samples: int = 4,
                  counts: np.ndarray | None = None) -> np.ndarray:
    """Cluster a sparse distance matrix by density.

    Args:
        distance: shape ``(N, N)``, pairs that are not stored are too far to be neighbours.
        eps: largest distance of neighbours.
        min_samples: neighbours, the image itself included, that make a core image.
        counts: shape ``(N,)`` int, how many images each row stands for; None for one.

    Returns:
        np.ndarray: shape ``(N,)`` int64, clusters 0 to K - 1, -1 for outliers.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import dbscan_labels, jaccard_distance
        >>> angles = torch.tensor([0.0, 0.1, 0.2, 2.0, 2.1, 2.2])
        >>> rows = torch.stack([angles.cos(), angles.sin()], 1)
        >>> dbscan_labels(jaccard_distance(rows, k1=3, k2=1), eps=0.5, min_samples=3).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    cluster = DBSCAN(eps=eps, min_samples=min_samples, metric='precomputed')
    return cluster.fit_predict(distance, sample_weight=counts).astype(np.int64)


def disjoint_subsets(num_images: int, ratio: float,
                     generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two disjoint random subsets, or all images twice.

    BMIL clusters one half of the visible images by themselves and the other half together
    with the infrared ones (its released code; the paper speaks of one random half).

    Args:
        num_images: number of images.
        ratio: share of the images in each subset, at most 0.5, or 1 for no subsets.
        generator: random numbers, from the seed and the epoch.

    Returns:
        tuple: two index arrays, ascending.

    Raises:
        InputError: if two disjoint subsets of this share do not exist.
    """
    if ratio == 1:
        return np.arange(num_images), np.arange(num_images)
    if not 0 < ratio <= 0.5:
        raise InputError(f'ratio must be in (0, 0.5] or 1, got {ratio}')
    order = generator.permutation(num_images)
    size = int(num_images * ratio)
    # Of an odd number the last image goes to the second half rather than to neither.
    second = order[size:] if ratio == 0.5 else order[size:2 * size]
    return np.sort(order[:size]), np.sort(second)


@TASK_UTILS.register_module()
class JaccardDBSCAN:
    """Cluster by DBSCAN on the k-reciprocal Jaccard distance.

    With several processes all of them call, with the same arguments, and get the same
    labels: each searches neighbours for its share of the images, the main one does the
    rest while the others wait, as long as it takes.

    Args:
        eps: largest distance of neighbours.
        min_samples: neighbours that make a core image.
        neighbors: the neighbour rule or its config, for example
            ``dict(type='BalancedNeighbors', k1=30, k2=6)``; None for
            :class:`PlainNeighbors` as published.
        backend: see :func:`jaccard_distance`.
        distributed: work together with the other processes of ``torch.distributed``, if
            there are any. False where a process clusters alone.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import JaccardDBSCAN
        >>> angles = torch.tensor([0.0, 0.1, 0.2, 1.0, 2.0, 2.1, 2.2])
        >>> rows = torch.stack([angles.cos(), angles.sin()], 1)
        >>> cluster = JaccardDBSCAN(
        ...     eps=0.5, min_samples=3, neighbors=dict(type='PlainNeighbors', k1=3, k2=1))
        >>> cluster(rows).tolist()
        [0, 0, 0, -1, 1, 1, 1]
    """

    def __init__(self,
                 eps: float = 0.6,
                 min_samples: int = 4,
                 neighbors: NeighborRule | dict | None = None,
                 backend: str = 'torch',
                 distributed: bool = True) -> None:
        self.eps = eps
        self.min_samples = min_samples
        if isinstance(neighbors, dict):
            neighbors = TASK_UTILS.build(neighbors)
        self.neighbors = PlainNeighbors() if neighbors is None else neighbors
        self.backend = backend
        self.distributed = distributed
        self._warn_once = LogOnce(logger)

    def __call__(self,
                 features: Array,
                 modality: Array | None = None,
                 subset: np.ndarray | None = None,
                 cameras: Array | None = None) -> np.ndarray:
        """Return pseudo labels.

        Args:
            features: shape ``(N, D)`` float.
            modality: shape ``(N,)`` int, for rules that need it.
            subset: rows to cluster, None for all; the others get -1.
            cameras: shape ``(N,)`` int, for rules that need it.

        Returns:
            np.ndarray: shape ``(N,)`` int64, clusters 0 to K - 1, -1 for outliers and for
            images outside of the subset.

        Raises:
            ValueError: if something that the rule needs is missing.
            RuntimeError: if clustering failed on the main process, on the others.
        """
        labels = np.full(len(features), -1, dtype=np.int64)
        rows = np.arange(len(features)) if subset is None else np.asarray(subset)
        chosen = float_rows('features', features if subset is None else features[rows])
        lists = self.neighbors(
            chosen,
            None if modality is None else modality[rows],
            None if cameras is None else cameras[rows],
            backend=self.backend,
            distributed=self.distributed)
        for shortage in lists.shortages:
            self._warn_once(shortage)

        def cluster() -> np.ndarray:
            encoding = k_reciprocal_encoding(chosen, lists)
            # Equal images, of a network that has collapsed or a camera that sees nothing,
            # are all neighbours of each other: N x N pairs if each were a row.
            kept, kinds, counts = distinct_rows(encoding)
            if len(kept) == len(kinds):
                counts = None
            else:
                encoding = encoding[kept]
            distance = distance_of_encoding(encoding, max_distance=self.eps)
            return dbscan_labels(distance, eps=self.eps, min_samples=self.min_samples,
                                 counts=counts)[kinds]

        labels[rows] = main_process_computes(cluster) if self.distributed else cluster()
        return labels
