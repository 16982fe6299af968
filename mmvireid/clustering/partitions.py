"""Which images are clustered together: each modality apart, or all at once."""

from dataclasses import dataclass
from typing import Optional, Union

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS

from .clusterers import disjoint_subsets

Array = Union[np.ndarray, torch.Tensor]


@dataclass(frozen=True)
class Partition:
    """Clusters of a set of images.

    Args:
        labels: shape ``(N,)`` int64, 0 to K - 1 without gaps, -1 for images in no
            cluster. Equal numbers always mean the same cluster, whatever the modality.
        considered: shape ``(N,)`` bool, False for images that were left out before the
            clustering (subset clustering); the others without a cluster are outliers.
    """

    labels: np.ndarray
    considered: np.ndarray


class _SubsetPartition:
    """Draw the share of visible images that takes part.

    Two branches of one epoch get the same generator, so that one of them can take the
    half which the other leaves.
    """

    def __init__(self, visible_ratio: float, half: int) -> None:
        if half not in (0, 1):
            raise ValueError(f'half must be 0 or 1, got {half}')
        if visible_ratio != 1 and not 0 < visible_ratio <= 0.5:
            raise ValueError(f'visible_ratio must be in (0, 0.5] or 1, got {visible_ratio}')
        self.visible_ratio = visible_ratio
        self.half = half

    def visible_rows(self, modality: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the visible images that take part.

        Args:
            modality: shape ``(N,)`` int.
            generator: random numbers, from the seed and the epoch.

        Returns:
            np.ndarray: ascending indices.
        """
        rows = np.flatnonzero(modality == 0)
        return rows[disjoint_subsets(len(rows), self.visible_ratio, generator)[self.half]]


@TASK_UTILS.register_module()
class IntraModalityClustering(_SubsetPartition):
    """Cluster the visible and the infrared images apart (BMIL, stage 1).

    Args:
        visible: config of what clusters the visible images, for example
            ``dict(type='JaccardDBSCAN', eps=0.6)``.
        infrared: config for the infrared images; None for the same.
        visible_ratio: share of the visible images that takes part, drawn anew each
            epoch: at most 0.5, or 1 for all.
        half: which of two disjoint subsets to take, 0 or 1.
    """

    def __init__(self,
                 visible: dict,
                 infrared: Optional[dict] = None,
                 visible_ratio: float = 1.0,
                 half: int = 0) -> None:
        super().__init__(visible_ratio, half)
        self.visible = TASK_UTILS.build(visible)
        self.infrared = TASK_UTILS.build(visible if infrared is None else infrared)

    def __call__(self, features: Array, modality: np.ndarray, generator: np.random.Generator,
                 cameras: Optional[np.ndarray] = None) -> Partition:
        """Cluster.

        Args:
            features: shape ``(N, D)`` float.
            modality: shape ``(N,)`` int, 0 visible, 1 infrared.
            generator: random numbers, from the seed and the epoch.
            cameras: shape ``(N,)`` int, for clusterers that need it.

        Returns:
            Partition: visible clusters first, then infrared ones.
        """
        labels = np.full(len(modality), -1, dtype=np.int64)
        considered = np.zeros(len(modality), dtype=bool)
        groups = ((self.visible, self.visible_rows(modality, generator)),
                  (self.infrared, np.flatnonzero(modality == 1)))
        for clusterer, rows in groups:
            considered[rows] = True
            if len(rows):
                found = clusterer(features[rows], cameras=_rows_of(cameras, rows))
                labels[rows] = np.where(found >= 0, found + labels.max(initial=-1) + 1, -1)
        return Partition(labels, considered)


@TASK_UTILS.register_module()
class GlobalClustering(_SubsetPartition):
    """Cluster the images of both modalities together (BMIL, stage 2).

    Args:
        clusterer: config of what clusters them, for example
            ``dict(type='JaccardDBSCAN', eps=0.6, modality_aware=True)``.
        visible_ratio: share of the visible images that takes part, drawn anew each
            epoch: at most 0.5, or 1 for all.
        half: which of two disjoint subsets to take, 0 or 1.
    """

    def __init__(self, clusterer: dict, visible_ratio: float = 1.0, half: int = 1) -> None:
        super().__init__(visible_ratio, half)
        self.clusterer = TASK_UTILS.build(clusterer)

    def __call__(self, features: Array, modality: np.ndarray, generator: np.random.Generator,
                 cameras: Optional[np.ndarray] = None) -> Partition:
        """Cluster.

        Args:
            features: shape ``(N, D)`` float.
            modality: shape ``(N,)`` int, 0 visible, 1 infrared.
            generator: random numbers, from the seed and the epoch.
            cameras: shape ``(N,)`` int, for clusterers that need it.

        Returns:
            Partition: the clusters.
        """
        considered = modality == 1
        considered[self.visible_rows(modality, generator)] = True
        rows = np.flatnonzero(considered)
        labels = np.full(len(modality), -1, dtype=np.int64)
        labels[rows] = self.clusterer(
            features[rows], modality[rows], cameras=_rows_of(cameras, rows))
        return Partition(labels, considered)


def _rows_of(array: Optional[np.ndarray], rows: np.ndarray) -> Optional[np.ndarray]:
    """Take some rows of what may be missing."""
    return None if array is None else array[rows]
