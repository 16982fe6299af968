"""The inner loop of the ranking metrics, compiled by numba."""

import numpy as np
from numba import prange

from mmvireid.utils.numba_threads import kernel_part, parallel_kernel

#: Every query sees the whole gallery (RegDB).
DROP_NOTHING = 0
#: Queries of camera 3 do not see gallery camera 2, which films the same room (SYSU-MM01).
DROP_SAME_ROOM = 1
#: A query does not see its own identity under its own camera (LLCM).
DROP_SAME_SHOT = 2


@kernel_part(inline='always')
def _is_dropped(drop, same_identity, query_cam, gallery_cam):
    """Tell whether the protocol hides a gallery image from a query."""
    if drop == DROP_SAME_ROOM:
        return query_cam == 3 and gallery_cam == 2
    if drop == DROP_SAME_SHOT:
        return same_identity and query_cam == gallery_cam
    return False


@kernel_part()
def _matches(row, code, cam, gallery_codes, gallery_cams, drop):
    """Return places and distances of the matches that a query may see, nearest first."""
    # They are counted first, because arrays of a kernel do not grow.
    count = 0
    for g in range(len(row)):
        if gallery_codes[g] == code and not _is_dropped(drop, True, cam, gallery_cams[g]):
            count += 1
    index = np.empty(count, np.int64)
    match = np.empty(count, row.dtype)
    count = 0
    for g in range(len(row)):
        if gallery_codes[g] == code and not _is_dropped(drop, True, cam, gallery_cams[g]):
            index[count], match[count] = g, row[g]
            count += 1
    # A stable sort, because equal distances keep the order of the gallery.
    order = np.argsort(match, kind='mergesort')
    return index[order], match[order]


@kernel_part()
def _first_match_behind(d, g, match, index):
    """Find, by bisection, the first match that image ``g`` at distance ``d`` precedes.

    It precedes one that is farther, or as far and later in the gallery: the order of a stable
    sort. The number of matches if it precedes none.
    """
    low, high = 0, len(match)
    while low < high:
        middle = (low + high) // 2
        if d < match[middle] or (d == match[middle] and g < index[middle]):
            high = middle
        else:
            low = middle + 1
    return low


@parallel_kernel()
def rank_matches(distance: np.ndarray, query_codes: np.ndarray, gallery_codes: np.ndarray,
                 query_cams: np.ndarray, gallery_cams: np.ndarray, num_codes: int, drop: int,
                 count_identities: bool) -> tuple[np.ndarray, ...]:
    """Rank the matches of each query without sorting its row.

    The few matches of a query are sorted; every other image is then counted at the first
    match that it precedes, found by bisection. Ties go to the lower gallery index.

    Args:
        distance: shape ``(Q, G)``, C-contiguous float.
        query_codes: shape ``(Q,)`` int64, identities numbered 0, 1, ….
        gallery_codes: shape ``(G,)`` int64.
        query_cams: shape ``(Q,)`` int64.
        gallery_cams: shape ``(G,)`` int64.
        num_codes: number of identities.
        drop: one of the ``DROP_*`` rules.
        count_identities: whether the first rank counts identities instead of images.

    Returns:
        tuple: rank of the first match (0: no match), AP, INP (NaN: no match) and whether
        the row holds a NaN, each of shape ``(Q,)``.
    """
    num_query, num_gallery = distance.shape
    first_rank = np.zeros(num_query, np.int64)
    precision = np.full(num_query, np.nan, np.float64)
    penalty = np.full(num_query, np.nan, np.float64)
    has_nan = np.zeros(num_query, np.bool_)
    for q in prange(num_query):
        row, code, cam = distance[q], query_codes[q], query_cams[q]
        # Only a NaN differs from itself. It has no place in an order: the caller refuses it.
        for g in range(num_gallery):
            if row[g] != row[g]:
                has_nan[q] = True
                break
        if has_nan[q]:
            continue
        index, match = _matches(row, code, cam, gallery_codes, gallery_cams, drop)
        count = len(match)
        if count == 0:
            continue  # results stay 0 and NaN; no metric counts this query

        # before[k]: images of other identities between match k - 1 and match k. They are the
        # errors from which all three metrics follow, so nothing but the matches is sorted.
        before = np.zeros(count, np.int64)
        # For CMC by identities: how many other people come before the first match, each once.
        seen = np.zeros(num_codes, np.bool_)
        identities_before = 0
        for g in range(num_gallery):
            d = row[g]
            if d > match[count - 1]:
                continue  # behind the last match, where nothing is counted
            other = gallery_codes[g]
            if other == code or _is_dropped(drop, False, cam, gallery_cams[g]):
                continue
            place = _first_match_behind(d, g, match, index)
            if place == count:
                continue  # as far as the last match, and later
            before[place] += 1
            if place == 0 and not seen[other]:
                seen[other] = True
                identities_before += 1

        # Match k is the (k + 1)-th right image at its rank: precision (k + 1) / rank.
        rank = 0
        total = 0.0
        for k in range(count):
            rank += before[k] + 1
            total += (k + 1) / rank
        first_rank[q] = (identities_before if count_identities else before[0]) + 1
        precision[q] = total / count
        # Inverse negative penalty (AGW, arXiv 2001.04193): matches over the rank of the last.
        penalty[q] = count / rank
    return first_rank, precision, penalty, has_nan
