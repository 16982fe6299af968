"""Sparse Jaccard distance of k-reciprocal encodings."""

import warnings

import numpy as np
import torch
from scipy import sparse

from mmvireid.search.topk import float_rows
from mmvireid.utils.errors import InputError

from .camera_neighbors import CameraNeighbors
from .encoding import k_reciprocal_encoding
from .jaccard_kernel import jaccard_rows, mirror_rows, pair_bounds
from .neighbors import NeighborRule, PlainNeighbors, modality_aware_neighbors

Array = np.ndarray | torch.Tensor

#: Pairs of one batch of rows: 8 bytes each, allocated once.
BATCH_PAIRS = 2**23


def jaccard_distance(features: Array,
                     *,
                     k1: int = 30,
                     k2: int = 6,
                     modality: Array | None = None,
                     max_distance: float = 1.0,
                     expansion: str = 'per_modality',
                     half_list: str = 'merged',
                     cameras: Array | None = None,
                     k1_intra: int = 5,
                     k1_inter: int = 20,
                     k2_intra: int = 2,
                     k2_inter: int = 4,
                     neighbors: NeighborRule | None = None,
                     backend: str = 'torch',
                     distributed: bool = False) -> sparse.csr_matrix:
    """Compute the k-reciprocal Jaccard distance, sparse throughout.

    Plain, modality-aware (``modality``), camera-aware (``cameras``), or by a neighbour rule
    of one's own (``neighbors``).

    An image pair without a common neighbour is at distance exactly 1 and is not stored, so
    the result, and everything on the way to it, holds a few hundred numbers per image. Equal
    images are all at distance 0 of each other, though: a thousand of them are a million
    pairs. :class:`JaccardDBSCAN` takes such images once.
    Features need not be of unit length: the plain distance ranks by Euclidean distance,
    the others by inner product, all weight by ``2 - 2 f_i . f_j``. The defaults are those
    of BMIL's released code (arXiv 2512.07760) and of CA-Jaccard's (CVPR 2024).

    Args:
        features: shape ``(N, D)`` float, torch (CPU or CUDA) or numpy.
        k1: neighbours that form a set, the image itself included.
        k2: neighbours that query expansion averages over, 1 for none.
        modality: shape ``(N,)`` int, 0 visible and 1 infrared, in any order; None for the
            plain distance.
        max_distance: largest distance to store, for example DBSCAN's ``eps``.
        expansion: with ``modality``: ``'per_modality'`` averages over ``k2`` images of each
            modality (the release), ``'split'`` over ``k2 // 2`` of each (the paper's text),
            ``'reweighted'`` uses plain ranks throughout and gives the modalities equal
            weight among the first ``k2`` (the work before).
        half_list: with ``modality`` and balanced ranks: ``'merged'`` takes the half list
            from the front of the merged list (the release), ``'balanced'`` takes one half
            of it from each modality.
        cameras: shape ``(N,)`` int, for the camera-aware distance, which ranks the images
            of the own camera and those of all others apart and is meant for the images of
            one modality; ``k1``, ``k2`` and the options of ``modality`` then mean nothing.
        k1_intra: with ``cameras``: neighbours from the own camera.
        k1_inter: with ``cameras``: neighbours from the other cameras.
        k2_intra: with ``cameras``: images of the own camera that query expansion averages
            over, the image itself included.
        k2_inter: with ``cameras``: images of other cameras that it averages over.
        neighbors: the rule by which neighbours are found; all options above but
            ``modality`` and ``cameras``, which it may need, then mean nothing. None for the
            one that they describe.
        backend: search backend of :func:`mmvireid.search.topk`; ``'torch'`` and ``'faiss'``
            are exact, ``'ivf'`` is approximate and logs its recall.
        distributed: share the search for neighbours out over the processes of
            ``torch.distributed``, all of which have to call with the same arguments; each
            then computes the distance from the same lists.

    Returns:
        scipy.sparse.csr_matrix: shape ``(N, N)`` float32, symmetric, an explicit 0 diagonal
        and sorted indices; ready for ``sklearn.cluster.DBSCAN(metric='precomputed')``.

    Raises:
        InputError: if shapes do not agree, a value is not finite, or an option is unknown.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import jaccard_distance
        >>> angles = torch.tensor([0.0, 0.1, 0.2, 2.0, 2.1, 2.2])  # two groups of three
        >>> rows = torch.stack([angles.cos(), angles.sin()], 1)
        >>> distance = jaccard_distance(rows, k1=3, k2=1)
        >>> (distance.toarray() > 0).sum(1).tolist()  # pairs across groups are not stored
        [2, 2, 2, 2, 2, 2]
    """
    features = float_rows('features', features)
    if neighbors is None:
        if cameras is not None and modality is not None:
            raise InputError('give modality or cameras: camera-aware neighbours are ranked among '
                             'the images of one modality')
        if cameras is not None:
            neighbors = CameraNeighbors(k1_intra, k1_inter, k2_intra, k2_inter)
        elif modality is not None:
            neighbors = modality_aware_neighbors(k1, k2, expansion, half_list)
        else:
            neighbors = PlainNeighbors(k1, k2)
    lists = neighbors(features, modality, cameras, backend=backend, distributed=distributed)
    for shortage in lists.shortages:
        warnings.warn(shortage, stacklevel=2)
    return distance_of_encoding(k_reciprocal_encoding(features, lists), max_distance=max_distance)


def distance_of_encoding(encoding: sparse.csr_matrix, *,
                         max_distance: float = 1.0) -> sparse.csr_matrix:
    """Compute the Jaccard distance of encodings with one another.

    Args:
        encoding: shape ``(R, N)``, rows sum to 1.
        max_distance: largest distance to store.

    Returns:
        scipy.sparse.csr_matrix: shape ``(R, R)``, see :func:`jaccard_distance`.
    """
    num = encoding.shape[0]
    # The distance is symmetric: row i is computed from column i + 1 on.
    upper = jaccard_pairs(encoding, np.arange(num), np.arange(1, num + 1), max_distance)
    return _mirror(upper)


def jaccard_pairs(encoding: sparse.csr_matrix, rows: np.ndarray, first_columns: np.ndarray,
                  max_distance: float = 1.0) -> sparse.csr_matrix:
    """Compute Jaccard distances of some rows with all columns from a first one on.

    ``d = 1 - s / (2 - s)`` with ``s`` the sum of the smaller weights of two encodings; only
    columns that share an image with the row are visited, through the transposed encoding.

    Args:
        encoding: shape ``(M, N)``, rows sum to 1.
        rows: shape ``(R,)`` int, rows to compute.
        first_columns: shape ``(R,)`` int, lower columns are left out.
        max_distance: largest distance to store.

    Returns:
        scipy.sparse.csr_matrix: shape ``(R, M)`` float32, columns not sorted. Distances of
        exactly 1 are not stored.
    """
    transposed = encoding.tocsc()
    csr = (encoding.indptr.astype(np.int64), encoding.indices, encoding.data)
    csc = (transposed.indptr.astype(np.int64), transposed.indices, transposed.data)
    rows = np.asarray(rows, dtype=np.int64)
    first_columns = np.asarray(first_columns, dtype=np.int64)
    # The kernel writes into memory of a known size: no row has more pairs than its bound, and
    # rows are taken together until their bounds fill a batch, at least one row at a time.
    bounds = np.cumsum(pair_bounds(*csr[:2], *csc[:2], rows, first_columns))
    parts, start, done = [], 0, 0
    while start < len(rows):
        stop = max(start + 1, int(np.searchsorted(bounds, done + BATCH_PAIRS, side='right')))
        slots = np.concatenate([[0], bounds[start:stop] - done])
        parts.append(
            jaccard_rows(*csr, *csc, rows[start:stop], first_columns[start:stop], slots,
                         np.float32(max_distance), torch.get_num_threads()))
        start, done = stop, bounds[stop - 1]
    sizes = np.concatenate([part[0] for part in parts])
    return sparse.csr_matrix(
        (np.concatenate([part[2] for part in parts]), np.concatenate([part[1] for part in parts]),
         np.concatenate([[0], np.cumsum(sizes)])),
        shape=(len(rows), encoding.shape[0]))


def _mirror(upper: sparse.csr_matrix) -> sparse.csr_matrix:
    """Complete a strict upper triangle to a symmetric matrix with an explicit 0 diagonal."""
    # Two transpositions sort the columns of each row in linear time.
    lower = upper.T.tocsr()
    upper = lower.T.tocsr()
    indptr, indices, values = mirror_rows(
        lower.indptr.astype(np.int64), lower.indices, lower.data,
        upper.indptr.astype(np.int64), upper.indices, upper.data)
    return sparse.csr_matrix((values, indices, indptr), shape=upper.shape)
