"""Means of clusters, and of the visible and infrared parts of clusters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from mmvireid.utils.errors import InputError

Array = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class ModalityPrototypes:
    """The prototypes of clusters split by modality.

    Args:
        centroids: shape ``(P, D)``, means, not normalised: clusters in ascending order,
            visible before infrared.
        groups: shape ``(P,)`` int64, the cluster of each prototype.
        modality: shape ``(P,)`` int64, the modality of each prototype.
        assignment: shape ``(N,)`` int64, the prototype of each image, -1 for outliers.
    """

    centroids: torch.Tensor
    groups: torch.Tensor
    modality: torch.Tensor
    assignment: torch.Tensor


def cluster_centroids(features: Array, labels: Array) -> torch.Tensor:
    """Average the features of each cluster.

    Args:
        features: shape ``(N, D)`` float.
        labels: shape ``(N,)`` int, clusters 0 to K - 1, -1 for outliers.

    Returns:
        torch.Tensor: shape ``(K, D)`` on the device of ``features``, not normalised.

    Raises:
        InputError: if a cluster between 0 and the last has no image.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import cluster_centroids
        >>> features = torch.tensor([[0.0, 2.0], [4.0, 0.0], [2.0, 0.0], [9.0, 9.0]])
        >>> cluster_centroids(features, torch.tensor([0, 1, 1, -1]))
        tensor([[0., 2.],
                [3., 0.]])
    """
    features = torch.as_tensor(features)
    labels = torch.as_tensor(labels, device=features.device).long()
    if labels.shape != features.shape[:1]:
        raise InputError(f'{len(features)} features got labels of shape {tuple(labels.shape)}')
    kept = labels >= 0
    labels = labels[kept]
    num = int(labels.max()) + 1 if len(labels) else 0
    counts = torch.bincount(labels, minlength=num)
    if bool((counts == 0).any()):
        raise InputError(
            f'cluster {int((counts == 0).nonzero()[0])} of {num} has no image; number clusters '
            'from 0 without gaps')
    sums = features.new_zeros(num, features.shape[1])
    with _same_order_of_additions():
        sums.index_add_(0, labels, features[kept])
    return sums / counts[:, None]


def centroids_by_modality(features: Array, clusters: np.ndarray,
                          modality: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Average the features of each cluster, where each modality has clusters of its own.

    Args:
        features: shape ``(N, D)`` float.
        clusters: shape ``(N,)`` int, in any numbers, -1 for outliers.
        modality: shape ``(N,)`` int, 0 visible, 1 infrared.

    Returns:
        tuple: the centroids of the visible clusters, shape ``(Kv, D)``, and of the infrared
        ones, ``(Ki, D)``, each in ascending order of their numbers, not normalised.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import centroids_by_modality
        >>> features, clusters = np.array([[0.0], [2.0], [5.0], [7.0]]), np.array([3, 3, 4, -1])
        >>> visible, infrared = centroids_by_modality(features, clusters, np.array([0, 0, 1, 1]))
        >>> visible.tolist(), infrared.tolist()
        ([[1.0]], [[5.0]])
    """
    visible, infrared = (
        cluster_centroids(features, cluster_positions(clusters, modality == value))
        for value in (0, 1))
    return visible, infrared


def cluster_positions(clusters: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Number the clusters of some images from 0 without gaps.

    Args:
        clusters: shape ``(N,)`` int, in any numbers, -1 for outliers.
        rows: shape ``(N,)`` bool, the images.

    Returns:
        np.ndarray: shape ``(N,)`` int64, in the order of the old numbers, -1 for outliers and
        other images.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import cluster_positions
        >>> cluster_positions(np.array([9, 4, -1, 5]), np.array([True, True, True, False]))
        array([ 1,  0, -1, -1])
    """
    positions = np.full(len(clusters), -1, dtype=np.int64)
    kept = rows & (clusters >= 0)
    positions[kept] = np.unique(clusters[kept], return_inverse=True)[1]
    return positions


@contextmanager
def _same_order_of_additions() -> Iterator[None]:
    """Add in the same order at every call, on a GPU too.

    Otherwise the last bit of a mean changes from call to call there, so ranks would begin an
    epoch with different prototypes, and a resumed run would not equal an unbroken one.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


def modality_prototypes(features: Array, labels: Array, modality: Array) -> ModalityPrototypes:
    """Split each cluster into a visible and an infrared prototype.

    A cluster of one modality gets one prototype, an outlier none (BMIL, arXiv 2512.07760:
    contrast takes place between modality-specific prototypes that share a cluster).

    Args:
        features: shape ``(N, D)`` float.
        labels: shape ``(N,)`` int, global clusters, -1 for outliers.
        modality: shape ``(N,)`` int, 0 visible, 1 infrared.

    Returns:
        ModalityPrototypes: centroids, their clusters and modalities, and the prototype of
        each image.

    Raises:
        InputError: if lengths do not agree.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import modality_prototypes
        >>> features = torch.tensor([[0.0], [2.0], [6.0], [9.0]])
        >>> labels, modality = torch.tensor([0, 0, 0, -1]), torch.tensor([0, 0, 1, 1])
        >>> found = modality_prototypes(features, labels, modality)
        >>> found.centroids.tolist(), found.modality.tolist(), found.assignment.tolist()
        ([[1.0], [6.0]], [0, 1], [0, 0, 1, -1])
    """
    features = torch.as_tensor(features)
    labels = torch.as_tensor(labels, device=features.device).long()
    modality = torch.as_tensor(modality, device=features.device).long()
    if not len(features) == len(labels) == len(modality):
        raise InputError(
            f'{len(features)} features, {len(labels)} labels and {len(modality)} modalities')
    kept = labels >= 0
    # Twice the cluster plus the modality orders clusters first, visible before infrared.
    codes, positions = torch.unique(2 * labels[kept] + modality[kept], return_inverse=True)
    assignment = torch.full_like(labels, -1)
    assignment[kept] = positions
    return ModalityPrototypes(
        centroids=cluster_centroids(features, assignment),
        groups=codes // 2,
        modality=codes % 2,
        assignment=assignment)


def hybrid_centroids(visible: Array, infrared: Array, infrared_to_visible: Array) -> torch.Tensor:
    """Average each infrared centroid with that of its visible partner.

    They are the prototypes of RPNR's cross-modality memory (MM 2024), which both modalities
    are compared with.

    Args:
        visible: shape ``(Kv, D)`` float, centroids as they are.
        infrared: shape ``(Ki, D)`` float.
        infrared_to_visible: shape ``(Ki,)`` int, the partner of each infrared cluster, -1
            for none; then the infrared centroid stands alone.

    Returns:
        torch.Tensor: shape ``(Ki, D)`` on the device of ``infrared``, not normalised.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import hybrid_centroids
        >>> visible, infrared = torch.tensor([[2.0], [4.0]]), torch.tensor([[0.0], [1.0]])
        >>> hybrid_centroids(visible, infrared, torch.tensor([1, -1])).tolist()
        [[2.0], [1.0]]
    """
    infrared = torch.as_tensor(infrared)
    visible = torch.as_tensor(visible, device=infrared.device)
    partner = torch.as_tensor(infrared_to_visible, device=infrared.device).long()
    means = (infrared + visible[partner.clamp(min=0)]) / 2
    return torch.where((partner >= 0)[:, None], means, infrared)
