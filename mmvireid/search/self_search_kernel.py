"""Kernels of the symmetric search, compiled by numba.

A row's state in one group is the sorted list of its k best approximate scores, the cut below
which no image can be a neighbour, and the candidates at or above the cut, in the order of
their index. A count of -1 marks a row with more candidates than fit.
"""

import numpy as np
from numba import prange

from mmvireid.utils.numba_threads import kernel_part, parallel_kernel

from .selection_kernel import STRIPE, flag_column_entries, flag_row, insert


@kernel_part
def _keep(row, index, score, margin, best, cut, count, scores, indices):
    """Add a candidate to a row and raise the row's cut."""
    k = best.shape[1]
    # A score may be below the k-th best and still be a candidate: it is known only to within
    # the margin. Such a one leaves the list of the best, and so the cut, as they are.
    if score > best[row, k - 1]:
        place = k - 1
        while place > 0 and best[row, place - 1] < score:
            best[row, place] = best[row, place - 1]
            place -= 1
        best[row, place] = score
        # An image this far below the k-th best cannot catch up with both scores wrong by
        # the whole margin in its favour.
        cut[row] = best[row, k - 1] - np.float32(2) * margin[row]
    capacity = scores.shape[1]
    # The cut has risen since the first candidates came, so a full row is tidied: those
    # below the cut of now go, the others move up and stay in the order of their index.
    if count[row] == capacity:
        kept = 0
        for a in range(capacity):
            if scores[row, a] >= cut[row]:
                scores[row, kept], indices[row, kept] = scores[row, a], indices[row, a]
                kept += 1
        count[row] = kept
        # Too little room won: the row would be tidied again and again. It is given up, to be
        # searched in float32, and an infinite cut keeps further entries from being flagged.
        if kept > capacity - capacity // 8:
            count[row] = -1
            cut[row] = np.inf
            return
    scores[row, count[row]], indices[row, count[row]] = score, index
    count[row] += 1


@parallel_kernel()
def collect_rows(block: np.ndarray, bias: np.ndarray, first: int, margin: np.ndarray,
                 best: np.ndarray, cut: np.ndarray, count: np.ndarray, scores: np.ndarray,
                 indices: np.ndarray) -> None:
    """Collect the candidates of a block's rows among its columns.

    Args:
        block: shape ``(B, C)`` float32, approximate products.
        bias: shape ``(C,)`` float32, added to every row.
        first: index of column 0.
        margin: shape ``(B,)`` float32, largest error of a row's products.
        best: shape ``(B, k)`` float32, as all that follow changed in place.
        cut: shape ``(B,)`` float32.
        count: shape ``(B,)`` int64.
        scores: shape ``(B, capacity)`` float32.
        indices: shape ``(B, capacity)`` int32.
    """
    num_columns = block.shape[1]
    for b in prange(block.shape[0]):
        flags = np.zeros((num_columns + 7) // 8 * 8, np.uint8)
        words = flags.view(np.uint64)
        flag_row(block[b], bias, cut[b], flags[:num_columns])
        for word in range(len(words)):
            if words[word] != 0:
                for c in range(8 * word, 8 * word + 8):
                    # Again, because the cut may have risen since the flags were set.
                    if flags[c] and block[b, c] + bias[c] >= cut[b]:
                        _keep(b, first + c, block[b, c] + bias[c], margin, best, cut, count,
                              scores, indices)


@parallel_kernel()
def collect_columns(block: np.ndarray, bias: np.ndarray, first: int, margin: np.ndarray,
                    best: np.ndarray, cut: np.ndarray, count: np.ndarray, scores: np.ndarray,
                    indices: np.ndarray) -> None:
    """Collect the candidates of the rows that a block's columns stand for.

    Args:
        block: shape ``(B, C)`` float32, approximate products.
        bias: shape ``(B,)`` float32, added to each column.
        first: index of the block's row 0.
        margin: shape ``(C,)`` float32, largest error of a column's products.
        best: shape ``(C, k)`` float32, as all that follow changed in place.
        cut: shape ``(C,)`` float32.
        count: shape ``(C,)`` int64.
        scores: shape ``(C, capacity)`` float32.
        indices: shape ``(C, capacity)`` int32.
    """
    num_rows, num_columns = block.shape
    # As in merge_columns: a stripe of columns is a stripe of lists, owned by one thread.
    for stripe in prange((num_columns + STRIPE - 1) // STRIPE):
        begin, end = stripe * STRIPE, min((stripe + 1) * STRIPE, num_columns)
        flags = np.zeros(STRIPE, np.uint8)
        words = flags.view(np.uint64)
        for b in range(num_rows):
            # The cuts lie side by side already, and those of now are compared.
            flag_column_entries(block[b, begin:end], bias[b], cut[begin:end],
                                flags[:end - begin])
            for word in range(len(words)):
                if words[word] != 0:
                    for c in range(8 * word, 8 * word + 8):
                        if flags[c]:
                            _keep(begin + c, first + b, block[b, begin + c] + bias[b], margin,
                                  best, cut, count, scores, indices)


@parallel_kernel(fastmath={'reassoc', 'contract', 'nsz'})
def score_candidates(features: np.ndarray, bias: np.ndarray, cut: np.ndarray, count: np.ndarray,
                     approximate: np.ndarray, candidates: np.ndarray, scores: np.ndarray,
                     indices: np.ndarray) -> None:
    """Score the candidates of each row in float32 and select the best.

    Args:
        features: shape ``(N, D)`` float32, C-contiguous.
        bias: shape ``(N,)`` float32.
        cut: shape ``(N,)`` float32; candidates below it are left out.
        count: shape ``(N,)`` int64, -1 for rows to leave alone.
        approximate: shape ``(N, capacity)`` float32.
        candidates: shape ``(N, capacity)`` int32.
        scores: shape ``(N, k)`` float32, filled in place.
        indices: shape ``(N, k)`` int64, filled in place.
    """
    dim = features.shape[1]
    # The order of a sum is free here (fastmath), so that it is formed in vectors. It depends
    # on the processor but not on threads: each product is a sum of its own.
    for i in prange(len(features)):
        row = features[i]
        for a in range(count[i]):  # none where the count is -1
            # Candidates that came before the cut had risen to where it is now.
            if approximate[i, a] < cut[i]:
                continue
            j = candidates[i, a]
            other = features[j]
            score = np.float32(0)
            for d in range(dim):
                score += row[d] * other[d]
            score += bias[j]
            insert(i, j, score, scores, indices)
