"""Which images are clustered together: each modality apart, or all at once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet, Modality, PseudoLabels
from mmvireid.utils.errors import ConfigError

from .clusterers import disjoint_subsets


@dataclass(frozen=True, eq=False)
class Partition:
    """Clusters of a set of images.

    Args:
        labels: shape ``(N,)`` int64, 0 to K - 1 without gaps, -1 for images in no
            cluster. Equal numbers always mean the same cluster, whatever the modality.
        considered: shape ``(N,)`` bool, False for images that were left out before the
            clustering (subset clustering); the others without a cluster are outliers.
        separate: whether each modality was clustered by itself.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import Partition
        >>> found = Partition(np.array([0, 0, -1, -1]), np.array([True, True, True, True]))
        >>> found.problem(np.array([0, 0, 1, 1]))
        'all 2 infrared images are outliers'
    """

    labels: np.ndarray
    considered: np.ndarray
    separate: bool = False

    def problem(self, modality: np.ndarray) -> str | None:
        """Say that a modality has no cluster.

        Args:
            modality: shape ``(N,)`` int, 0 visible, 1 infrared.

        Returns:
            str | None: a clause for a message, None if each modality has one.
        """
        for value in Modality:
            rows = self.considered & (modality == value)
            if rows.any() and not (self.labels[rows] >= 0).any():
                return f'all {int(rows.sum())} {value.name.lower()} images are outliers'
        return None


class _OnSubsetOfVisible(ABC):
    """Cluster all infrared images and a share of the visible ones.

    Two branches of one epoch get random numbers from the same state, so that one of them
    can take the subset which the other leaves.
    """

    def __init__(self, visible_ratio: float, subset: int, descriptor: str) -> None:
        if subset not in (0, 1):
            raise ConfigError(f'subset must be 0 or 1, got {subset}')
        if visible_ratio != 1 and not 0 < visible_ratio <= 0.5:
            raise ConfigError(f'visible_ratio must be in (0, 0.5] or 1, got {visible_ratio}')
        self.visible_ratio = visible_ratio
        self.subset = subset
        self.descriptor = descriptor

    @abstractmethod
    def __call__(self,
                 images: ImageSet,
                 rng: np.random.Generator,
                 before: Mapping[str, PseudoLabels] | None = None) -> Partition:
        """Cluster the images of an epoch.

        Args:
            images: the N images of the training set.
            rng: random numbers, from the seed and the epoch.
            before: not used, what earlier branches of the epoch have made.

        Returns:
            Partition: the clusters.
        """

    def visible_rows(self, modality: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the visible images that take part.

        Args:
            modality: shape ``(N,)`` int.
            rng: random numbers, from the seed and the epoch.

        Returns:
            np.ndarray: ascending indices, of shape ``(M,)``.
        """
        rows = np.flatnonzero(modality == 0)
        return rows[disjoint_subsets(len(rows), self.visible_ratio, rng)[self.subset]]


@TASK_UTILS.register_module()
class IntraModalityClustering(_OnSubsetOfVisible):
    """Cluster the visible and the infrared images apart (BMIL, stage 1).

    Args:
        visible: config of what clusters the visible images, for example
            ``dict(type='JaccardDBSCAN', eps=0.6)``.
        infrared: config for the infrared images; None for the same.
        visible_ratio: share of the visible images that takes part, drawn anew each
            epoch: at most 0.5, or 1 for all.
        subset: which of two disjoint subsets of them to take, 0 or 1.
        descriptor: name of the descriptor that is clustered.
    """

    def __init__(self,
                 visible: dict,
                 infrared: dict | None = None,
                 visible_ratio: float = 1.0,
                 subset: int = 0,
                 descriptor: str = 'base') -> None:
        super().__init__(visible_ratio, subset, descriptor)
        self.visible = TASK_UTILS.build(visible)
        self.infrared = TASK_UTILS.build(visible if infrared is None else infrared)

    def __call__(self,
                 images: ImageSet,
                 rng: np.random.Generator,
                 before: Mapping[str, PseudoLabels] | None = None) -> Partition:
        """Cluster each modality; visible clusters come first, then infrared ones."""
        features = images.descriptors[self.descriptor]
        labels = np.full(len(images), -1, dtype=np.int64)
        considered = np.zeros(len(images), dtype=bool)
        groups = ((self.visible, self.visible_rows(images.modality, rng)),
                  (self.infrared, np.flatnonzero(images.modality == 1)))
        for clusterer, rows in groups:
            considered[rows] = True
            if len(rows):
                own = clusterer(features[rows], cameras=images.camera[rows])
                # Numbers go on where those of the other modality end.
                labels[rows] = np.where(own >= 0, own + labels.max(initial=-1) + 1, -1)
        return Partition(labels, considered, separate=True)


@TASK_UTILS.register_module()
class GlobalClustering(_OnSubsetOfVisible):
    """Cluster the images of both modalities together (BMIL, stage 2).

    Args:
        clusterer: config of what clusters them, for example
            ``dict(type='JaccardDBSCAN', neighbors=dict(type='BalancedNeighbors'))``.
        visible_ratio: share of the visible images that takes part, drawn anew each
            epoch: at most 0.5, or 1 for all.
        subset: which of two disjoint subsets of them to take, 0 or 1.
        descriptor: name of the descriptor that is clustered.
    """

    def __init__(self,
                 clusterer: dict,
                 visible_ratio: float = 1.0,
                 subset: int = 1,
                 descriptor: str = 'base') -> None:
        super().__init__(visible_ratio, subset, descriptor)
        self.clusterer = TASK_UTILS.build(clusterer)

    def __call__(self,
                 images: ImageSet,
                 rng: np.random.Generator,
                 before: Mapping[str, PseudoLabels] | None = None) -> Partition:
        """Cluster all images that take part at once."""
        considered = images.modality == 1
        considered[self.visible_rows(images.modality, rng)] = True
        rows = np.flatnonzero(considered)
        labels = np.full(len(images), -1, dtype=np.int64)
        labels[rows] = self.clusterer(
            images.descriptors[self.descriptor][rows], images.modality[rows],
            cameras=images.camera[rows])
        return Partition(labels, considered)
