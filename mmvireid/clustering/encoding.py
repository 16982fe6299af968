"""The k-reciprocal encoding: each image as a sparse vector over the images around it."""

import numpy as np
import torch
from scipy import sparse

from .encoding_kernels import (
    average_rows,
    extend_sets,
    pair_products,
    reciprocal_sets,
    softmax_rows,
)
from .neighbors import NeighborLists

#: Pairs whose products are formed at once on a CUDA device.
CUDA_PAIRS = 2**15


def k_reciprocal_encoding(features: torch.Tensor,
                          lists: NeighborLists,
                          *,
                          row_scale: np.ndarray | None = None) -> sparse.csr_matrix:
    """Encode each image by its extended set of k-reciprocal neighbours.

    1. ``R(i, k)``: the images in i's list that have i in theirs.
    2. ``R*(i)``: ``R(i, k1)`` and every ``R(c, k1 / 2)`` of a member c of which more than
       two thirds are already in ``R(i, k1)``.
    3. Weights: softmax over ``R*(i)`` of ``-row_scale[i] * (2 - 2 f_i . f_j)``.
    4. Query expansion: the mean of the encodings over each expansion list, then over the
       lists that are not empty.

    Zhong et al., CVPR 2017, sections 3.2 to 3.4. The same encoding serves pseudo labels
    and re-ranking; they differ in lists and in ``row_scale``.

    Args:
        features: shape ``(N, D)`` float32, torch (CPU or CUDA).
        lists: neighbour lists of all images.
        row_scale: shape ``(N,)`` float32, None for ones.

    Returns:
        scipy.sparse.csr_matrix: shape ``(N, N)`` float32, rows sum to 1, sorted indices.
    """
    num = len(features)
    # 1. and 2., on indices alone.
    full = np.ascontiguousarray(lists.full, dtype=np.int64)
    half = np.ascontiguousarray(lists.half, dtype=np.int64)
    reciprocal = reciprocal_sets(full)
    indptr, indices = extend_sets(*reciprocal, *reciprocal_sets(half), torch.get_num_threads())
    # 3. Products of the pairs in the sets, the only ones that are needed.
    products = _products(features, indptr, indices)
    scale = np.ones(num, np.float32) if row_scale is None else row_scale.astype(np.float32)
    values = softmax_rows(indptr, products, scale)
    # 4.
    if lists.expansion:
        neighbors, weights = _expansion(lists.expansion)
        indptr, indices, values = average_rows(indptr, indices, values, neighbors, weights,
                                               torch.get_num_threads())
    return sparse.csr_matrix((values, indices, indptr), shape=(num, num))


def distinct_rows(encoding: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the encodings that differ.

    Args:
        encoding: shape ``(N, M)``, sorted indices, no empty row.

    Returns:
        tuple: rows of shape ``(R,)``, the first of each kind, ascending; for each of the N
        rows its kind, 0 to R - 1; and the number of rows of each kind.
    """
    # Comparing all rows with all is N x N. Rows are given a number that equal rows share, the
    # numbers are sorted, and each row is then compared with the first of its number alone.
    num, sizes = encoding.shape[0], np.diff(encoding.indptr)
    starts = encoding.indptr[:-1]
    _, first, kinds, counts = np.unique(
        _row_keys(encoding), return_index=True, return_inverse=True, return_counts=True)
    owner = first[kinds]
    others = np.flatnonzero(owner != np.arange(num))
    same = sizes[others] == sizes[owner[others]]
    if same.all():
        # Entry by entry, all rows at once: positions of their entries and of their models'.
        within = np.arange(sizes[others].sum()) - np.repeat(
            np.cumsum(sizes[others]) - sizes[others], sizes[others])
        own = np.repeat(starts[others], sizes[others]) + within
        model = np.repeat(starts[owner[others]], sizes[others]) + within
        same = ((encoding.indices[own] == encoding.indices[model])
                & (encoding.data[own] == encoding.data[model]))
    if not same.all():
        # Two kinds have the same key, once in 2^64: take all rows for different.
        return np.arange(num), np.arange(num), np.ones(num, np.int64)
    # np.unique numbers the kinds by key; number them by their first row instead.
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[kinds], counts[order]


def _row_keys(encoding):
    """Return a number for each row, the same for equal rows, another for nearly all others.

    Column and weight of an entry make one 64-bit word, which is scrambled by a multiplication
    with the golden ratio; a row's number is the sum of its words, overflow and all.
    """
    # Weights are positive: equal numbers have equal bits.
    words = encoding.indices.astype(np.uint64) << np.uint64(32) | encoding.data.view(np.uint32)
    words = (words ^ words >> np.uint64(29)) * np.uint64(0x9E3779B97F4A7C15)
    return np.add.reduceat(words ^ words >> np.uint64(32), encoding.indptr[:-1])


def _products(features, indptr, indices):
    """Return ``f_i . f_j`` for the pairs of a sparse pattern, on the features' device."""
    if not features.is_cuda:
        return pair_products(features.numpy(), indptr, indices)
    # Gathering all pairs of rows at once would be pairs x D numbers: a part at a time.
    rows = torch.from_numpy(np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)))
    columns = torch.from_numpy(indices).long()
    parts = [
        (features[i.to(features.device)] * features[j.to(features.device)]).sum(1)
        for i, j in zip(rows.split(CUDA_PAIRS), columns.split(CUDA_PAIRS))
    ]
    return torch.cat(parts).cpu().numpy()


def _expansion(expansion):
    """Turn expansion lists into neighbours and weights, both of shape ``(N, E)``.

    Members of a list share the list's weight, and the lists that are not empty share 1.
    """
    present = [ranks >= 0 for ranks in expansion]
    counts = np.stack([mask.sum(1) for mask in present])
    used = np.maximum((counts > 0).sum(0), 1)
    weights = [
        mask / (np.maximum(count, 1) * used)[:, None] for mask, count in zip(present, counts)
    ]
    neighbors = np.concatenate(expansion, axis=1).astype(np.int64)
    return neighbors, np.concatenate(weights, axis=1).astype(np.float32)
