"""Sparse kernels of the k-reciprocal encoding, compiled by numba.

Sets of images are stored as CSR patterns: ``indices[indptr[i]:indptr[i + 1]]`` is the set of
image i, in ascending order. Kernels that need a mark per image share one array per worker
and give worker w the rows w, w + W, …, which balances dense and sparse regions. The number of
workers is an argument because numba cannot cache a function that asks for it.

int32 holds the indices: half the memory traffic of int64, and two billion images are enough.
"""

import numpy as np
from numba import prange

from mmvireid.utils.numba_threads import kernel_part, parallel_kernel


@parallel_kernel()
def reciprocal_sets(ranks: np.ndarray) -> tuple[np.ndarray, ...]:
    """Keep the images of each list that have the list's owner in theirs.

    Args:
        ranks: shape ``(N, K)`` int64, -1 behind the end of a list.

    Returns:
        tuple: CSR pattern ``(indptr, indices)``. An owner that is in nobody's list, not
        even its own, is a set of itself: among many equal images the tie rule can push it
        out, and it must not vanish.
    """
    num, length = ranks.shape
    # Rows of the full length first, since nobody knows yet how many survive.
    kept = np.empty((num, max(length, 1)), np.int32)
    counts = np.zeros(num, np.int64)
    for i in prange(num):
        count = 0
        for a in range(length):
            j = ranks[i, a]
            if j < 0:
                break
            # A list is a few dozen numbers: searching it through beats any index.
            for b in range(length):
                if ranks[j, b] == i:
                    kept[i, count] = j
                    count += 1
                    break
        if count == 0:
            kept[i, 0] = i
            count = 1
        counts[i] = count
    indptr = np.zeros(num + 1, np.int64)
    indptr[1:] = np.cumsum(counts)
    indices = np.empty(indptr[num], np.int32)
    for i in prange(num):
        indices[indptr[i]:indptr[i + 1]] = np.sort(kept[i, :counts[i]])
    return indptr, indices


@kernel_part
def _extended_set(i, indptr, indices, half_indptr, half_indices, marks, stamp, members):
    """Write the extended set of one image into ``members`` and return its size.

    ``marks`` holds ``stamp`` for members of the own set and ``stamp + 1`` for images that
    were added; larger stamps from row to row make clearing unnecessary.
    """
    count = 0
    # First the set itself, marked so that membership below is one look-up.
    for a in range(indptr[i], indptr[i + 1]):
        members[count] = indices[a]
        marks[indices[a]] = stamp
        count += 1
    for a in range(indptr[i], indptr[i + 1]):
        c = indices[a]
        # Only marks of the set itself count: what another member has added must not decide
        # about this one, or the result would depend on the order of members.
        start, stop = half_indptr[c], half_indptr[c + 1]
        common = 0
        for b in range(start, stop):
            if marks[half_indices[b]] == stamp:
                common += 1
        # "More than two thirds" in integers, where no rounding can decide.
        if 3 * common > 2 * (stop - start):
            for b in range(start, stop):
                j = half_indices[b]
                # Smaller stamps are left from earlier rows: neither a member nor added.
                if marks[j] < stamp:
                    marks[j] = stamp + 1
                    members[count] = j
                    count += 1
    return count


@parallel_kernel()
def extend_sets(indptr: np.ndarray, indices: np.ndarray, half_indptr: np.ndarray,
                half_indices: np.ndarray, workers: int) -> tuple[np.ndarray, ...]:
    """Unite each set with the half sets of members that mostly lie inside it.

    Args:
        indptr: shape ``(N + 1,)``, with ``indices`` the sets R(i, k1).
        indices: shape ``(M,)`` int32.
        half_indptr: shape ``(N + 1,)``, with ``half_indices`` the sets R(c, k1 / 2).
        half_indices: shape ``(M,)`` int32.
        workers: number of threads.

    Returns:
        tuple: CSR pattern of the extended sets.
    """
    num = len(indptr) - 1
    widest, widest_half = 0, 0
    for i in range(num):
        widest = max(widest, indptr[i + 1] - indptr[i])
        widest_half = max(widest_half, half_indptr[i + 1] - half_indptr[i])
    # Each of at most `widest` members adds at most a third of its half set.
    room = min(num, widest + widest * widest_half)
    sizes = np.zeros(num, np.int64)
    # Two passes, count and fill: twice the integer work, but no buffer of unknown size.
    for w in prange(workers):
        # One array of N marks for each worker, not for each row: clearing it for every row
        # would cost N x N. Stamps 2 i and 2 i + 1 belong to row i alone.
        marks = np.full(num, -1, np.int64)
        members = np.empty(room, np.int32)
        for i in range(w, num, workers):
            sizes[i] = _extended_set(i, indptr, indices, half_indptr, half_indices, marks, 2 * i,
                                     members)
    out_indptr = np.zeros(num + 1, np.int64)
    out_indptr[1:] = np.cumsum(sizes)
    out = np.empty(out_indptr[num], np.int32)
    for w in prange(workers):
        marks = np.full(num, -1, np.int64)
        members = np.empty(room, np.int32)
        for i in range(w, num, workers):
            count = _extended_set(i, indptr, indices, half_indptr, half_indices, marks, 2 * i,
                                  members)
            out[out_indptr[i]:out_indptr[i + 1]] = np.sort(members[:count])
    return out_indptr, out


@parallel_kernel(fastmath={'reassoc', 'contract', 'nsz'})
def pair_products(features: np.ndarray, indptr: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Compute inner products for the pairs of a CSR pattern.

    Args:
        features: shape ``(N, D)`` float32, C-contiguous.
        indptr: shape ``(N + 1,)``.
        indices: shape ``(M,)`` int32.

    Returns:
        np.ndarray: shape ``(M,)`` float32.
    """
    # A few hundred pairs per image: the whole N x N product would be a hundred times the work.
    # `reassoc` lets the compiler add several lanes at a time.
    dim = features.shape[1]
    products = np.empty(len(indices), np.float32)
    for i in prange(len(indptr) - 1):
        row = features[i]
        for a in range(indptr[i], indptr[i + 1]):
            other = features[indices[a]]
            total = np.float32(0)
            for d in range(dim):
                total += row[d] * other[d]
            products[a] = total
    return products


@parallel_kernel()
def softmax_rows(indptr: np.ndarray, products: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Turn products into weights: softmax of ``-scale[i] * (2 - 2 product)`` per row.

    Args:
        indptr: shape ``(N + 1,)``.
        products: shape ``(M,)`` float32.
        scale: shape ``(N,)`` float32.

    Returns:
        np.ndarray: shape ``(M,)`` float32, each row sums to 1.
    """
    weights = np.empty(len(products), np.float32)
    for i in prange(len(indptr) - 1):
        start, stop = indptr[i], indptr[i + 1]
        # The constant -2 cancels in a softmax; the largest product is taken off so that no
        # exponential overflows, whatever the scale.
        largest = np.float32(-np.inf)
        for a in range(start, stop):
            largest = max(largest, products[a])
        total = np.float32(0)
        for a in range(start, stop):
            weights[a] = np.exp(np.float32(2) * scale[i] * (products[a] - largest))
            total += weights[a]
        for a in range(start, stop):
            weights[a] /= total
    return weights


@kernel_part
def _average(i, indptr, indices, values, neighbors, weights, sums, marks, touched):
    """Add up the weighted rows of one image's neighbours; return how many columns."""
    count = 0
    for a in range(neighbors.shape[1]):
        j, weight = neighbors[i, a], weights[i, a]
        if j < 0:
            continue
        for b in range(indptr[j], indptr[j + 1]):
            column = indices[b]
            # The sum of a column is valid only if this row has begun it: no clearing.
            if marks[column] != i:
                marks[column] = i
                sums[column] = np.float32(0)
                touched[count] = column
                count += 1
            sums[column] += weight * values[b]
    return count


@parallel_kernel()
def average_rows(indptr: np.ndarray, indices: np.ndarray, values: np.ndarray,
                 neighbors: np.ndarray, weights: np.ndarray,
                 workers: int) -> tuple[np.ndarray, ...]:
    """Replace each sparse row by a weighted sum of its neighbours' rows.

    Args:
        indptr: shape ``(N + 1,)``.
        indices: shape ``(M,)`` int32.
        values: shape ``(M,)`` float32.
        neighbors: shape ``(N, E)`` int64, -1 for none.
        weights: shape ``(N, E)`` float32.
        workers: number of threads.

    Returns:
        tuple: CSR arrays ``(indptr, indices, values)`` of the result, sorted indices.
    """
    num = len(indptr) - 1
    # No row can touch more columns than its neighbours have entries: room for the widest.
    bounds = np.zeros(num + 1, np.int64)
    for i in range(num):
        bound = 0
        for a in range(neighbors.shape[1]):
            j = neighbors[i, a]
            if j >= 0:
                bound += indptr[j + 1] - indptr[j]
        bounds[i + 1] = min(bound, num)
    room = bounds.max()
    sizes = np.zeros(num, np.int64)
    for w in prange(workers):
        sums, marks = np.empty(num, np.float32), np.full(num, -1, np.int64)
        touched = np.empty(room, np.int32)
        for i in range(w, num, workers):
            sizes[i] = _average(i, indptr, indices, values, neighbors, weights, sums, marks,
                                touched)
    # The sums are formed a second time rather than kept: the rows overlap so much that
    # keeping all of them between the passes would take more memory than the result.
    out_indptr = np.zeros(num + 1, np.int64)
    out_indptr[1:] = np.cumsum(sizes)
    out_indices = np.empty(out_indptr[num], np.int32)
    out_values = np.empty(out_indptr[num], np.float32)
    for w in prange(workers):
        sums, marks = np.empty(num, np.float32), np.full(num, -1, np.int64)
        touched = np.empty(room, np.int32)
        for i in range(w, num, workers):
            count = _average(i, indptr, indices, values, neighbors, weights, sums, marks, touched)
            start = out_indptr[i]
            # Sorted by column, as scipy wants it; sums are looked up afterwards.
            out_indices[start:start + count] = np.sort(touched[:count])
            for a in range(start, start + count):
                out_values[a] = sums[out_indices[a]]
    return out_indptr, out_indices, out_values
