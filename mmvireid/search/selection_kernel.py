"""Running top-k of rows, compiled by numba.

Nearly every entry of a block fails its one comparison with the worst score kept. So entries
are compared first, without branches, which compiles to vector instructions, and eight flags
are then looked at as one 64-bit word.
"""

import numpy as np
from numba import prange

from mmvireid.utils.numba_threads import kernel_part, parallel_kernel

#: Columns that one worker handles at a time when a block is read by columns. A multiple of 8.
STRIPE = 256


@kernel_part
def flag_row(scores: np.ndarray, bias: np.ndarray, limit: float, flags: np.ndarray) -> None:
    """Flag the entries ``scores + bias >= limit`` of a row, one limit for all.

    Args:
        scores: shape ``(C,)`` float32.
        bias: shape ``(C,)`` float32.
        limit: float32.
        flags: shape ``(C,)`` uint8, written.
    """
    # No branch in the loop: a comparison that is stored as a byte becomes vector instructions.
    # An entry equal to the worst one kept is flagged too, and turned away by insert().
    for c in range(len(scores)):
        flags[c] = scores[c] + bias[c] >= limit


@kernel_part
def flag_column_entries(scores: np.ndarray, bias: float, limits: np.ndarray,
                        flags: np.ndarray) -> None:
    """Flag the entries ``scores + bias >= limits`` of a row, one limit for each.

    Args:
        scores: shape ``(C,)`` float32.
        bias: float32.
        limits: shape ``(C,)`` float32.
        flags: shape ``(C,)`` uint8, written.
    """
    for c in range(len(scores)):
        flags[c] = scores[c] + bias >= limits[c]


@kernel_part
def insert(row: int, index: int, score: float, scores: np.ndarray, indices: np.ndarray) -> None:
    """Insert an entry into a row's sorted list if it beats the last; equal ones stay ahead.

    Args:
        row: row of the lists.
        index: index of the entry.
        score: its score.
        scores: shape ``(B, k)`` float32, descending, changed in place.
        indices: shape ``(B, k)`` int64, changed in place.
    """
    place = scores.shape[1] - 1
    if score <= scores[row, place]:
        return
    # Move worse entries back by one; "<" leaves equal ones, which came earlier, in front.
    while place > 0 and scores[row, place - 1] < score:
        scores[row, place] = scores[row, place - 1]
        indices[row, place] = indices[row, place - 1]
        place -= 1
    scores[row, place] = score
    indices[row, place] = index


@parallel_kernel()
def merge_block(block: np.ndarray, bias: np.ndarray, first: int, scores: np.ndarray,
                indices: np.ndarray) -> None:
    """Merge a block of scores into each row's sorted list of the best.

    Blocks must come in ascending order of columns: then a new entry stays behind equal
    ones, which have lower indices.

    Args:
        block: shape ``(B, C)`` float32, products of B rows with C gallery rows.
        bias: shape ``(C,)`` float32, added to every row.
        first: gallery index of column 0.
        scores: shape ``(B, k)`` float32, descending, changed in place.
        indices: shape ``(B, k)`` int64, changed in place.
    """
    num_columns, last = block.shape[1], scores.shape[1] - 1
    for b in prange(block.shape[0]):  # a row's list belongs to one thread
        # Whole words: the flags behind the last column stay zero.
        flags = np.zeros((num_columns + 7) // 8 * 8, np.uint8)
        words = flags.view(np.uint64)
        # The limit is that of the row before this block. It rises with each insertion, so
        # what is flagged may be too much, never too little: insert() looks again.
        flag_row(block[b], bias, scores[b, last], flags[:num_columns])
        for word in range(len(words)):
            if words[word] != 0:
                for c in range(8 * word, 8 * word + 8):
                    if flags[c]:
                        insert(b, first + c, block[b, c] + bias[c], scores, indices)


@parallel_kernel()
def merge_columns(block: np.ndarray, bias: np.ndarray, first: int, scores: np.ndarray,
                  indices: np.ndarray) -> None:
    """Merge a block, read by columns, into the top-k of the rows that its columns stand for.

    Args:
        block: shape ``(B, C)`` float32.
        bias: shape ``(B,)`` float32, added to each column.
        first: index of the block's row 0.
        scores: shape ``(C, k)`` float32, descending, changed in place.
        indices: shape ``(C, k)`` int64, changed in place.
    """
    num_rows, num_columns = block.shape
    last = scores.shape[1] - 1
    # Threads share the columns out, because each column stands for a list of its own. Within
    # a stripe rows come one after another, so that memory is read in its order.
    for stripe in prange((num_columns + STRIPE - 1) // STRIPE):
        begin, end = stripe * STRIPE, min((stripe + 1) * STRIPE, num_columns)
        flags = np.zeros(STRIPE, np.uint8)
        words = flags.view(np.uint64)
        # Side by side, not k entries apart, for one vector comparison with a row's entries.
        limits = scores[begin:end, last].copy()
        for b in range(num_rows):
            flag_column_entries(block[b, begin:end], bias[b], limits, flags[:end - begin])
            for word in range(len(words)):
                if words[word] != 0:
                    for c in range(8 * word, 8 * word + 8):
                        if flags[c]:
                            insert(begin + c, first + b, block[b, begin + c] + bias[b], scores,
                                   indices)
                            limits[c] = scores[begin + c, last]
