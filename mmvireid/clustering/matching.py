"""Which visible and which infrared clusters are the same person."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from mmvireid.structures import ImageSet
from mmvireid.utils.errors import ConfigError, InputError

Array = np.ndarray | torch.Tensor


@dataclass(frozen=True, eq=False)
class ClusterMatch:
    """The partner of each cluster in the other modality.

    There are two maps because a partner need not be mutual: with more visible clusters
    than infrared ones several visible clusters may share an infrared one, which has a
    partner of its own choice. Cluster k of a modality is the one with its k-th label in
    ascending order.

    Args:
        visible_to_infrared: shape ``(Kv,)`` int64, the infrared cluster of each visible one,
            -1 for none.
        infrared_to_visible: shape ``(Ki,)`` int64, the visible cluster of each infrared one,
            -1 for none.
        notes: numbers about how the match was made, by name, for the log.

    Raises:
        ConfigError: if a map points to a cluster that there is not.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import ClusterMatch
        >>> match = ClusterMatch(np.array([0, 1, 1]), np.array([0, 2]))
        >>> match.visible_to_infrared[match.infrared_to_visible]
        array([0, 1])
    """

    visible_to_infrared: np.ndarray
    infrared_to_visible: np.ndarray
    notes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        maps = (self.visible_to_infrared, self.infrared_to_visible)
        for own, other, name in (*zip(maps, maps[::-1], ('visible', 'infrared')), ):
            if len(own) and not (own.min() >= -1 and own.max() < len(other)):
                raise ConfigError(f'partners of {name} clusters must be -1 or one of the '
                                  f'{len(other)} clusters of the other modality, got {own}')


class Associator(ABC):
    """Match the clusters of the two modalities, as a step of a labeller.

    Args:
        descriptor: name of the descriptor that is compared.
    """

    def __init__(self, descriptor: str = 'base') -> None:
        self.descriptor = descriptor

    @abstractmethod
    def __call__(self, images: ImageSet, clusters: np.ndarray) -> ClusterMatch:
        """Match.

        Args:
            images: the N images of the training set.
            clusters: shape ``(N,)`` int, separate clusters of the modalities, -1 for images
                in none.

        Returns:
            ClusterMatch: the partners.
        """


def matching_cost(visible: Array, infrared: Array) -> np.ndarray:
    """Compute what it costs to take a visible and an infrared cluster for one person.

    The exponential of the negative cosine of the centroids, as in PGM (CVPR 2023) and RPNR
    (ACM MM 2024): it tells near clusters apart more strongly than far ones. In float64, on
    the CPU, so that a match is the same wherever the centroids were computed.

    Args:
        visible: shape ``(Kv, D)`` float, centroids of any length.
        infrared: shape ``(Ki, D)`` float.

    Returns:
        np.ndarray: shape ``(Kv, Ki)`` float64, from 1/e to e.

    Raises:
        InputError: if shapes do not agree or a value is not finite.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import matching_cost
        >>> matching_cost(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 2.0]])).round(3)
        array([[0.368, 1.   ]])
    """
    units = []
    for name, rows in (('visible', visible), ('infrared', infrared)):
        rows = torch.as_tensor(rows).detach().cpu().double().numpy()
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise InputError(f'{name} centroids must be finite and of shape (clusters, '
                             f'dimensions), got an array of shape {rows.shape}')
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        units.append(rows / np.where(length > 0, length, 1))
    if units[0].shape[1] != units[1].shape[1]:
        raise InputError(f'visible centroids have {units[0].shape[1]} dimensions, infrared ones '
                         f'{units[1].shape[1]}')
    return np.exp(-units[0] @ units[1].T)


def join_matched(clusters: np.ndarray,
                 modality: np.ndarray,
                 match: ClusterMatch,
                 labels: np.ndarray | None = None) -> np.ndarray:
    """Make one cluster of each cluster and those of the other modality that chose it.

    The modality with more clusters chooses; with as many of each, the visible one.
    Clusters without a partner, and those that nobody has chosen, stay clusters of one
    modality.

    Args:
        clusters: shape ``(N,)`` int, separate clusters of the two modalities, -1 for images
            in no cluster.
        modality: shape ``(N,)`` int, 0 visible, 1 infrared.
        match: the partners.
        labels: shape ``(N,)`` int, the cluster that each image is taken for after a
            refinement; None for ``clusters``.

    Returns:
        np.ndarray: shape ``(N,)`` int64, numbered from 0 without gaps, -1 as before.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import ClusterMatch, join_matched
        >>> clusters, modality = np.array([0, 1, 2, 3, 4]), np.array([0, 0, 0, 1, 1])
        >>> match = ClusterMatch(np.array([1, -1, 1]), np.array([-1, 0]))
        >>> join_matched(clusters, modality, match)
        array([2, 0, 2, 1, 2])
    """
    names = tuple(
        np.unique(clusters[(modality == value) & (clusters >= 0)]) for value in (0, 1))
    chooses = int(len(names[1]) > len(names[0]))
    partners = (match.visible_to_infrared, match.infrared_to_visible)[chooses]
    chosen = names[1 - chooses]
    joined = np.array(clusters, dtype=np.int64)
    for own, partner in zip(names[chooses], partners):
        if partner >= 0:
            joined[(clusters == own) & (modality == chooses)] = chosen[partner]
    kept = joined >= 0
    joined[kept] = np.unique(joined[kept], return_inverse=True)[1]
    if labels is None:
        return joined
    # What each old number has become, for labels that a refinement has changed.
    numbers, first = np.unique(clusters, return_index=True)
    return np.where(labels >= 0, joined[first][np.searchsorted(numbers, labels)], -1)
