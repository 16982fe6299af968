"""Sparse Jaccard distance of k-reciprocal encodings."""

import warnings
from typing import Optional, Union

import numpy as np
import torch
from scipy import sparse

from mmvireid.search.topk import float_rows

from .camera_neighbors import camera_lists
from .encoding import k_reciprocal_encoding
from .jaccard_kernel import jaccard_rows, mirror_rows, pair_bounds
from .neighbors import NeighborLists, balanced_lists, plain_lists, reweighted_lists

Array = Union[np.ndarray, torch.Tensor]

EXPANSIONS = ('per_modality', 'split', 'reweighted')
#: Pairs of one batch of rows: 8 bytes each, allocated once.
BATCH_PAIRS = 2**23


def jaccard_distance(features: Array,
                     *,
                     k1: int = 30,
                     k2: int = 6,
                     modality: Optional[Array] = None,
                     max_distance: float = 1.0,
                     expansion: str = 'per_modality',
                     half_list: str = 'merged',
                     cameras: Optional[Array] = None,
                     k1_intra: int = 5,
                     k1_inter: int = 20,
                     k2_intra: int = 2,
                     k2_inter: int = 4,
                     backend: str = 'torch',
                     distributed: bool = False) -> sparse.csr_matrix:
    """Compute the k-reciprocal Jaccard distance, sparse throughout.

    Plain, modality-aware (``modality``) or camera-aware (``cameras``).

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
        backend: search backend of :func:`mmvireid.search.topk`; ``'torch'`` and ``'faiss'``
            are exact, ``'ivf'`` is approximate and logs its recall.
        distributed: share the search for neighbours out over the processes of
            ``torch.distributed``, all of which have to call with the same arguments; each
            then computes the distance from the same lists.

    Returns:
        scipy.sparse.csr_matrix: shape ``(N, N)`` float32, symmetric, an explicit 0 diagonal
        and sorted indices; ready for ``sklearn.cluster.DBSCAN(metric='precomputed')``.

    Raises:
        ValueError: if shapes do not agree, a value is not finite, or an option is unknown.
    """
    features = float_rows('features', features)
    lists = neighbor_lists(
        features, k1=k1, k2=k2, modality=modality, expansion=expansion, half_list=half_list,
        cameras=cameras, k1_intra=k1_intra, k1_inter=k1_inter, k2_intra=k2_intra,
        k2_inter=k2_inter, backend=backend, distributed=distributed)
    for shortage in lists.shortages:
        warnings.warn(shortage, stacklevel=2)
    return distance_of_encoding(k_reciprocal_encoding(features, lists), max_distance=max_distance)


def neighbor_lists(features: torch.Tensor,
                   *,
                   k1: int = 30,
                   k2: int = 6,
                   modality: Optional[Array] = None,
                   expansion: str = 'per_modality',
                   half_list: str = 'merged',
                   cameras: Optional[Array] = None,
                   k1_intra: int = 5,
                   k1_inter: int = 20,
                   k2_intra: int = 2,
                   k2_inter: int = 4,
                   backend: str = 'torch',
                   distributed: bool = False) -> NeighborLists:
    """Search the neighbours that the Jaccard distance is made of.

    Args:
        features: shape ``(N, D)`` float32, finite, torch (CPU or CUDA).
        k1: see :func:`jaccard_distance`.
        k2: see :func:`jaccard_distance`.
        modality: see :func:`jaccard_distance`.
        expansion: see :func:`jaccard_distance`.
        half_list: see :func:`jaccard_distance`.
        cameras: see :func:`jaccard_distance`.
        k1_intra: see :func:`jaccard_distance`.
        k1_inter: see :func:`jaccard_distance`.
        k2_intra: see :func:`jaccard_distance`.
        k2_inter: see :func:`jaccard_distance`.
        backend: see :func:`jaccard_distance`.
        distributed: see :func:`jaccard_distance`.

    Returns:
        NeighborLists: the lists of all images.

    Raises:
        ValueError: if shapes do not agree or an option is unknown.
    """
    if len(features) == 0:
        raise ValueError('there are no features to compare')
    if k1 < 2 or k2 < 1:
        raise ValueError(f'k1 must be at least 2 and k2 at least 1, got {k1} and {k2}')
    if expansion not in EXPANSIONS:
        raise ValueError(f'unknown expansion "{expansion}", choose one of {EXPANSIONS}')
    if half_list not in ('merged', 'balanced'):
        raise ValueError(f'half_list must be "merged" or "balanced", got "{half_list}"')
    if cameras is not None:
        if modality is not None:
            raise ValueError('give modality or cameras: camera-aware neighbours are ranked among '
                             'the images of one modality')
        if min(k1_intra, k1_inter, k2_intra) < 1 or k2_inter < 0:
            raise ValueError('k1_intra, k1_inter and k2_intra must be at least 1, k2_inter at '
                             f'least 0, got {k1_intra}, {k1_inter}, {k2_intra} and {k2_inter}')
        return camera_lists(features, _one_per_image('cameras', cameras, len(features)), k1_intra,
                            k1_inter, k2_intra, k2_inter, backend=backend,
                            distributed=distributed)
    if modality is None:
        return plain_lists(features, k1, k2, backend=backend, distributed=distributed)
    modality = _modality_array(modality, len(features))
    if expansion == 'reweighted':
        return reweighted_lists(features, modality, k1, k2, backend=backend,
                                distributed=distributed)
    return balanced_lists(features, modality, k1, k2, half_list=half_list,
                          split_k2=expansion == 'split', backend=backend,
                          distributed=distributed)


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


def _modality_array(modality: Array, num: int) -> np.ndarray:
    """Return modalities as int64 after checking length and values."""
    modality = _one_per_image('modality', modality, num)
    if not np.isin(modality, (0, 1)).all():
        raise ValueError('modality must be 0 (visible) or 1 (infrared)')
    return modality.astype(np.int64)


def _one_per_image(name: str, values: Array, num: int) -> np.ndarray:
    """Return an array after checking its length."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    values = np.asarray(values)
    if values.shape != (num, ):
        raise ValueError(f'{name} must be of shape ({num},), got {values.shape}')
    return values
