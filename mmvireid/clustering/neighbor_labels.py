"""Soft labels of images from the clusters of their neighbours."""

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional

from mmvireid.search import self_topk, topk
from mmvireid.search.topk import float_rows
from mmvireid.utils.errors import InputError

Array = np.ndarray | torch.Tensor


def neighbor_soft_labels(features: Array,
                         reference: Array,
                         reference_labels: Array,
                         *,
                         num_neighbors: int = 30) -> sparse.csr_matrix:
    """Give each image a distribution over the clusters that its neighbours are in.

    The share of a cluster is the intersection over union of the cluster and the set of the
    image's nearest neighbours by cosine; shares then are scaled to the sum 1. Outliers
    among the neighbours take up places and vote for nobody (N-ULC, AAAI 2025).

    Args:
        features: shape ``(N, D)`` float.
        reference: shape ``(M, D)`` float, where neighbours are looked for; the very object
            ``features`` for the neighbours of a set in itself, where the first neighbour of
            an image is the image.
        reference_labels: shape ``(M,)`` int, clusters 0 to K - 1, -1 for outliers.
        num_neighbors: neighbours of an image; all M if there are fewer.

    Returns:
        scipy.sparse.csr_matrix: shape ``(N, K)`` float64, at most ``num_neighbors`` entries
        a row. A row is empty where all neighbours are outliers.

    Raises:
        InputError: if shapes do not agree or there is nothing to look in.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import neighbor_soft_labels
        >>> reference = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.7, 0.7], [0.0, 1.0]])
        >>> labels = torch.tensor([0, 0, 1, -1])
        >>> soft = neighbor_soft_labels(
        ...     torch.tensor([[1.0, 0.1], [0.0, 1.0]]), reference, labels, num_neighbors=3)
        >>> soft.toarray().round(2)  # 2 of 2 + 1 and 1 of 1 + 2; 1 of 4 and 1 of 3
        array([[0.67, 0.33],
               [0.43, 0.57]])
    """
    rows = functional.normalize(float_rows('features', features))
    if reference is features:
        (_, neighbors), = self_topk(rows, num_neighbors)
    else:
        _, neighbors = topk(
            rows, functional.normalize(float_rows('reference', reference)), num_neighbors)
    labels = torch.as_tensor(reference_labels).cpu().numpy()
    if labels.shape != (len(reference), ):
        raise InputError(f'{len(reference)} reference features got labels of shape {labels.shape}')
    return soft_labels_of_neighbors(
        neighbors.cpu().numpy(), labels, int(labels.max(initial=-1)) + 1)


def soft_labels_of_neighbors(neighbors: np.ndarray, labels: np.ndarray,
                             num_clusters: int) -> sparse.csr_matrix:
    """Do the part of :func:`neighbor_soft_labels` after the search.

    Args:
        neighbors: shape ``(N, k)`` int, the neighbours of each image.
        labels: shape ``(M,)`` int, the cluster of each image that may be one, -1 for none.
        num_clusters: number K of clusters.

    Returns:
        scipy.sparse.csr_matrix: shape ``(N, K)`` float64.
    """
    num, k = neighbors.shape
    votes = labels[neighbors]
    voted = votes >= 0
    shares = sparse.csr_matrix(
        (np.ones(int(voted.sum())), votes[voted], np.r_[0, voted.sum(1).cumsum()]),
        shape=(num, num_clusters))
    shares.sum_duplicates()
    sizes = np.bincount(labels[labels >= 0], minlength=num_clusters)
    # Until here an entry counts the neighbours in a cluster: intersection over union.
    shares.data /= k - shares.data + sizes[shares.indices]
    totals = np.asarray(shares.sum(1)).ravel()
    # An entry stands in a row with a total above zero.
    shares.data /= np.repeat(totals, np.diff(shares.indptr))
    return shares


def neighbor_weights(soft_labels: sparse.csr_matrix,
                     targets: Array,
                     *,
                     scale: float = 10.0) -> np.ndarray:
    """Weigh each image by how far its neighbours agree with its label.

    ``exp(-scale * (1 - q)^2)`` with the soft label q of the target: 1 where all mass is on
    the target (N-ULC, AAAI 2025).

    Args:
        soft_labels: shape ``(N, K)``.
        targets: shape ``(N,)`` int, the cluster of each image, -1 for none.
        scale: how fast the weight falls.

    Returns:
        np.ndarray: shape ``(N,)`` float64 in [0, 1], 0 for an image without a cluster.

    Examples:
        >>> import numpy as np
        >>> from scipy import sparse
        >>> from mmvireid.clustering import neighbor_weights
        >>> soft = sparse.csr_matrix([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
        >>> neighbor_weights(soft, np.array([0, 1, -1])).round(3)
        array([1.   , 0.082, 0.   ])
    """
    targets = torch.as_tensor(targets).cpu().numpy()
    rows = np.flatnonzero(targets >= 0)
    weights = np.zeros(len(targets))
    mass = np.asarray(soft_labels[rows, targets[rows]]).ravel()
    weights[rows] = np.exp(-scale * (1 - mass)**2)
    return weights
