"""Sum of minima of sparse rows, compiled by numba."""

import numpy as np
from numba import prange

from mmvireid.utils.numba_threads import kernel_part, parallel_kernel


@kernel_part(inline='always')
def _lower_bound(values, start, stop, wanted):
    """Return the first position in a sorted slice with a value of at least ``wanted``."""
    while start < stop:
        middle = (start + stop) // 2
        if values[middle] < wanted:
            start = middle + 1
        else:
            stop = middle
    return start


@parallel_kernel()
def pair_bounds(indptr: np.ndarray, indices: np.ndarray, t_indptr: np.ndarray,
                t_indices: np.ndarray, rows: np.ndarray, first_columns: np.ndarray) -> np.ndarray:
    """Bound the number of columns that share an image with each row.

    Args:
        indptr: shape ``(N + 1,)``, with ``indices`` the encoding by rows.
        indices: shape ``(M,)`` int32.
        t_indptr: shape ``(N + 1,)``, with ``t_indices`` the encoding by columns, sorted.
        t_indices: shape ``(M,)`` int32.
        rows: shape ``(R,)`` int64.
        first_columns: shape ``(R,)`` int64.

    Returns:
        np.ndarray: shape ``(R,)`` int64.
    """
    num = len(indptr) - 1
    bounds = np.empty(len(rows), np.int64)
    for r in prange(len(rows)):
        i, first = rows[r], first_columns[r]
        # Each entry of the row brings at most as many columns as share its image. A column
        # that shares several is counted for each: a bound, not the number.
        bound = 0
        for a in range(indptr[i], indptr[i + 1]):
            stop = t_indptr[indices[a] + 1]
            bound += stop - _lower_bound(t_indices, t_indptr[indices[a]], stop, first)
        bounds[r] = min(bound, max(num - first, 0))
    return bounds


@parallel_kernel()
def jaccard_rows(indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, t_indptr: np.ndarray,
                 t_indices: np.ndarray, t_values: np.ndarray, rows: np.ndarray,
                 first_columns: np.ndarray, slots: np.ndarray, max_distance: float,
                 workers: int) -> tuple[np.ndarray, ...]:
    """Compute the Jaccard distances of a batch of rows.

    Args:
        indptr: shape ``(N + 1,)``, with ``indices`` and ``values`` the encoding by rows.
        indices: shape ``(M,)`` int32.
        values: shape ``(M,)`` float32.
        t_indptr: shape ``(N + 1,)``, the same by columns, sorted.
        t_indices: shape ``(M,)`` int32.
        t_values: shape ``(M,)`` float32.
        rows: shape ``(R,)`` int64.
        first_columns: shape ``(R,)`` int64.
        slots: shape ``(R + 1,)`` int64, where the pairs of each row may be written.
        max_distance: largest distance to keep.
        workers: number of threads.

    Returns:
        tuple: number of pairs per row, their columns and their distances, row after row.
    """
    num, num_rows = len(indptr) - 1, len(rows)
    columns = np.empty(slots[num_rows], np.int32)
    distances = np.empty(slots[num_rows], np.float32)
    sizes = np.zeros(num_rows, np.int64)
    for w in prange(workers):
        # s of each column for the current row; zero again after it, so one array does.
        sums = np.zeros(num, np.float32)
        for r in range(w, num_rows, workers):
            i, first, start = rows[r], first_columns[r], slots[r]
            count = 0
            for a in range(indptr[i], indptr[i + 1]):
                # Through the transposed encoding: all columns that share this image. They are
                # sorted, so those below the first one wanted are skipped in a few steps.
                weight, stop = values[a], t_indptr[indices[a] + 1]
                begin = _lower_bound(t_indices, t_indptr[indices[a]], stop, first)
                for b in range(begin, stop):
                    smaller = min(weight, t_values[b])
                    # A weight may be zero by underflow: it adds nothing, and a sum that
                    # stayed 0 would enter its column twice.
                    if smaller > 0:
                        j = t_indices[b]
                        if sums[j] == 0:
                            columns[start + count] = j
                            count += 1
                        sums[j] += smaller
            kept = 0
            for a in range(start, start + count):
                j = columns[a]
                common = sums[j]
                sums[j] = 0
                # Both rows sum to 1, so the larger weights sum to 2 - s: 1 - s / (2 - s).
                # Rounding can push s just above 1, which would be below zero.
                distance = max(np.float32(1) - common / (np.float32(2) - common), np.float32(0))
                if distance <= max_distance and distance < 1:
                    # Written over what has been read already: kept is never ahead of a.
                    columns[start + kept] = j
                    distances[start + kept] = distance
                    kept += 1
            sizes[r] = kept
    # Close the gaps between what rows were given room for and what they kept.
    starts = np.zeros(num_rows + 1, np.int64)
    starts[1:] = np.cumsum(sizes)
    out_columns = np.empty(starts[num_rows], np.int32)
    out_distances = np.empty(starts[num_rows], np.float32)
    for r in prange(num_rows):
        out_columns[starts[r]:starts[r + 1]] = columns[slots[r]:slots[r] + sizes[r]]
        out_distances[starts[r]:starts[r + 1]] = distances[slots[r]:slots[r] + sizes[r]]
    return sizes, out_columns, out_distances


@parallel_kernel()
def mirror_rows(low_indptr: np.ndarray, low_indices: np.ndarray, low_values: np.ndarray,
                up_indptr: np.ndarray, up_indices: np.ndarray,
                up_values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Join lower triangle, explicit 0 diagonal and upper triangle row by row.

    Args:
        low_indptr: shape ``(N + 1,)``, with the next two the strict lower triangle, sorted.
        low_indices: shape ``(M,)`` int32.
        low_values: shape ``(M,)`` float32.
        up_indptr: shape ``(N + 1,)``, with the next two the strict upper triangle, sorted.
        up_indices: shape ``(M,)`` int32.
        up_values: shape ``(M,)`` float32.

    Returns:
        tuple: CSR arrays ``(indptr, indices, values)``, sorted indices.
    """
    num = len(low_indptr) - 1
    # Row i of the result: its lower part, one 0 on the diagonal, its upper part.
    indptr = low_indptr + up_indptr + np.arange(num + 1)
    indices = np.empty(indptr[num], np.int32)
    values = np.empty(indptr[num], np.float32)
    for i in prange(num):
        place = indptr[i]
        for a in range(low_indptr[i], low_indptr[i + 1]):
            indices[place], values[place] = low_indices[a], low_values[a]
            place += 1
        indices[place], values[place] = i, 0
        place += 1
        for a in range(up_indptr[i], up_indptr[i + 1]):
            indices[place], values[place] = up_indices[a], up_values[a]
            place += 1
    return indptr, indices, values
