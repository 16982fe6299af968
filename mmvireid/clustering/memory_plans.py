"""From clusters to the prototypes that images are compared with."""

from dataclasses import dataclass
from typing import Optional, Union

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS

from .prototypes import cluster_centroids, modality_prototypes

Array = Union[np.ndarray, torch.Tensor]


@dataclass(frozen=True)
class MemoryPlan:
    """The content of one memory at the start of an epoch.

    Args:
        centroids: shape ``(K, D)``, the first prototypes, not normalised.
        targets: shape ``(N,)`` int64, the prototype of each image of the dataset, -1 for
            images that this memory does not concern.
        groups: shape ``(K,)`` int64, the cluster of each prototype where a cluster has
            several, otherwise None.
        modality: the modality whose images are compared with this memory, None for both.
    """

    centroids: torch.Tensor
    targets: torch.Tensor
    groups: Optional[torch.Tensor] = None
    modality: Optional[int] = None

    @property
    def num_clusters(self) -> int:
        """Number of clusters that the prototypes stand for."""
        return len(self.centroids) if self.groups is None else len(self.groups.unique())


@TASK_UTILS.register_module()
class ModalityMemories:
    """Give each modality a memory of its own, one prototype per cluster."""

    def __call__(self, features: Array, labels: np.ndarray,
                 modality: np.ndarray) -> list[MemoryPlan]:
        """Plan the memories.

        Args:
            features: shape ``(N, D)`` float.
            labels: shape ``(N,)`` int, -1 for images in no cluster.
            modality: shape ``(N,)`` int, 0 visible, 1 infrared.

        Returns:
            list: the visible memory, then the infrared one.
        """
        features, labels, modality = _tensors(features, labels, modality)
        plans = []
        for value in (0, 1):
            kept = (labels >= 0) & (modality == value)
            targets = torch.full_like(labels, -1)
            targets[kept] = labels[kept].unique(return_inverse=True)[1]
            plans.append(MemoryPlan(cluster_centroids(features, targets), targets,
                                    modality=value))
        return plans


@TASK_UTILS.register_module()
class SharedMemory:
    """Give both modalities one memory, one prototype per cluster.

    What contrastive learning on pseudo labels does without regard to modality.
    """

    def __call__(self, features: Array, labels: np.ndarray,
                 modality: np.ndarray) -> list[MemoryPlan]:
        """Plan the memory.

        Args:
            features: shape ``(N, D)`` float.
            labels: shape ``(N,)`` int, -1 for images in no cluster.
            modality: shape ``(N,)`` int, 0 visible, 1 infrared.

        Returns:
            list: one memory.
        """
        features, labels, modality = _tensors(features, labels, modality)
        return [MemoryPlan(cluster_centroids(features, labels), labels)]


@TASK_UTILS.register_module()
class SplitMemory:
    """Split each cluster into a visible and an infrared prototype, in one memory.

    BMIL's split-and-contrast learning (arXiv 2512.07760): an image is drawn to both
    prototypes of its cluster, and moves the one of its own modality.
    """

    def __call__(self, features: Array, labels: np.ndarray,
                 modality: np.ndarray) -> list[MemoryPlan]:
        """Plan the memory.

        Args:
            features: shape ``(N, D)`` float.
            labels: shape ``(N,)`` int, -1 for images in no cluster.
            modality: shape ``(N,)`` int, 0 visible, 1 infrared.

        Returns:
            list: one memory, with groups.
        """
        found = modality_prototypes(features, labels, modality)
        return [MemoryPlan(found.centroids, found.assignment, groups=found.groups)]


def _tensors(*arrays: Array) -> list[torch.Tensor]:
    """Return arrays as tensors on the device of the first, the features."""
    features = torch.as_tensor(arrays[0])
    return [features, *(torch.as_tensor(a, device=features.device).long() for a in arrays[1:])]
