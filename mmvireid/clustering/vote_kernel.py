"""Votes of image pairs for pairs of clusters, compiled by numba."""

import numpy as np
from numba import prange

from mmvireid.utils.numba_threads import parallel_kernel


@parallel_kernel()
def count_block(block: np.ndarray, row_starts: np.ndarray, row_clusters: np.ndarray,
                column_starts: np.ndarray, column_clusters: np.ndarray, threshold: float,
                votes: np.ndarray, best: np.ndarray) -> None:
    """Add the votes of a block of similarities.

    Rows and columns are sorted by cluster, so that a pair of clusters is a rectangle of the
    block: its count and its best stay in registers, and each row of ``votes`` belongs to one
    thread.

    Args:
        block: shape ``(B, C)`` float32.
        row_starts: shape ``(R + 1,)`` int64, where each cluster's rows begin, then B.
        row_clusters: shape ``(R,)`` int64, the clusters of the rows.
        column_starts: shape ``(S + 1,)`` int64, the same of the columns, then C.
        column_clusters: shape ``(S,)`` int64.
        threshold: float32, the least similarity that votes.
        votes: shape ``(Kv, Ki)`` int64, added to.
        best: shape ``(Kv, Ki)`` float32, the largest similarity that voted, raised.
    """
    for r in prange(len(row_clusters)):
        v = row_clusters[r]
        for b in range(row_starts[r], row_starts[r + 1]):
            for s in range(len(column_clusters)):
                count, top = 0, threshold
                for c in range(column_starts[s], column_starts[s + 1]):
                    similarity = block[b, c]
                    count += similarity >= threshold
                    top = max(top, similarity)
                if count:
                    i = column_clusters[s]
                    votes[v, i] += count
                    best[v, i] = max(best[v, i], top)
