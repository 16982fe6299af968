"""From features to pseudo labels."""

import logging
from typing import Optional, Set, Tuple, Union

import numpy as np
import torch
from scipy import sparse
from sklearn.cluster import DBSCAN

from mmvireid.registry import TASK_UTILS
from mmvireid.search.topk import float_rows
from mmvireid.utils.processes import main_process_computes

from .encoding import distinct_rows, k_reciprocal_encoding
from .jaccard import distance_of_encoding, neighbor_lists

Array = Union[np.ndarray, torch.Tensor]

logger = logging.getLogger(__name__)


def dbscan_labels(distance: sparse.csr_matrix,
                  *,
                  eps: float,
                  min_samples: int = 4,
                  counts: Optional[np.ndarray] = None) -> np.ndarray:
    """Cluster a sparse distance matrix by density.

    Args:
        distance: shape ``(N, N)``, pairs that are not stored are too far to be neighbours.
        eps: largest distance of neighbours.
        min_samples: neighbours, the image itself included, that make a core image.
        counts: shape ``(N,)`` int, how many images each row stands for; None for one.

    Returns:
        np.ndarray: shape ``(N,)`` int64, clusters 0 to K - 1, -1 for outliers.
    """
    cluster = DBSCAN(eps=eps, min_samples=min_samples, metric='precomputed')
    return cluster.fit_predict(distance, sample_weight=counts).astype(np.int64)


def disjoint_subsets(num_images: int, ratio: float,
                     generator: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
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
        ValueError: if two disjoint subsets of this share do not exist.
    """
    if ratio == 1:
        return np.arange(num_images), np.arange(num_images)
    if not 0 < ratio <= 0.5:
        raise ValueError(f'ratio must be in (0, 0.5] or 1, got {ratio}')
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
        k1: see :func:`jaccard_distance`.
        k2: see :func:`jaccard_distance`.
        modality_aware: balance the neighbours of the two modalities.
        expansion: see :func:`jaccard_distance`.
        half_list: see :func:`jaccard_distance`.
        camera_aware: rank the neighbours of the own camera and of the others apart, for
            the images of one modality; ``k1`` and ``k2`` then mean nothing.
        k1_intra: see :func:`jaccard_distance`.
        k1_inter: see :func:`jaccard_distance`.
        k2_intra: see :func:`jaccard_distance`.
        k2_inter: see :func:`jaccard_distance`.
        backend: see :func:`jaccard_distance`.
        distributed: work together with the other processes of ``torch.distributed``, if
            there are any. False where a process clusters alone.

    Raises:
        ValueError: if both modality-aware and camera-aware.
    """

    def __init__(self,
                 eps: float = 0.6,
                 min_samples: int = 4,
                 k1: int = 30,
                 k2: int = 6,
                 modality_aware: bool = False,
                 expansion: str = 'per_modality',
                 half_list: str = 'merged',
                 camera_aware: bool = False,
                 k1_intra: int = 5,
                 k1_inter: int = 20,
                 k2_intra: int = 2,
                 k2_inter: int = 4,
                 backend: str = 'torch',
                 distributed: bool = True) -> None:
        if modality_aware and camera_aware:
            raise ValueError('neighbours are either modality-aware or camera-aware: set one of '
                             'the two to False')
        self.eps = eps
        self.min_samples = min_samples
        self.modality_aware = modality_aware
        self.camera_aware = camera_aware
        self.distributed = distributed
        self.lists = {
            'k1': k1,
            'k2': k2,
            'expansion': expansion,
            'half_list': half_list,
            'k1_intra': k1_intra,
            'k1_inter': k1_inter,
            'k2_intra': k2_intra,
            'k2_inter': k2_inter,
            'backend': backend,
            'distributed': distributed
        }
        self._said: Set[str] = set()

    def __call__(self,
                 features: Array,
                 modality: Optional[Array] = None,
                 subset: Optional[np.ndarray] = None,
                 cameras: Optional[Array] = None) -> np.ndarray:
        """Return pseudo labels.

        Args:
            features: shape ``(N, D)`` float.
            modality: shape ``(N,)`` int, needed when ``modality_aware``.
            subset: rows to cluster, None for all; the others get -1.
            cameras: shape ``(N,)`` int, needed when ``camera_aware``.

        Returns:
            np.ndarray: shape ``(N,)`` int64, clusters 0 to K - 1, -1 for outliers and for
            images outside of the subset.

        Raises:
            ValueError: if ``modality_aware`` and no modality is given, or ``camera_aware``
                and no cameras.
            RuntimeError: if clustering failed on the main process, on the others.
        """
        if self.modality_aware and modality is None:
            raise ValueError('modality-aware clustering needs the modality of each image')
        if self.camera_aware and cameras is None:
            raise ValueError('camera-aware clustering needs the camera of each image')
        labels = np.full(len(features), -1, dtype=np.int64)
        rows = np.arange(len(features)) if subset is None else np.asarray(subset)
        chosen = float_rows('features', features if subset is None else features[rows])
        lists = neighbor_lists(
            chosen,
            modality=modality[rows] if self.modality_aware else None,
            cameras=cameras[rows] if self.camera_aware else None,
            **self.lists)
        # Once, not in each epoch. Python's warnings would not do: they are shown again
        # whenever a library has changed a filter, as several do all the time.
        for shortage in lists.shortages:
            if shortage not in self._said:
                self._said.add(shortage)
                logger.warning(shortage)

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
