"""CMC, mAP and mINP of a ranking, by the rules of each data set."""

from dataclasses import dataclass

import numpy as np
import torch

from mmvireid.utils.errors import InputError

from .ranking_kernel import DROP_NOTHING, DROP_SAME_ROOM, DROP_SAME_SHOT, rank_matches

Array = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class RankingProtocol:
    """What a data set's protocol drops from the gallery and what its CMC counts.

    Args:
        drop: rule of :mod:`ranking_kernel` for gallery images that a query may not see.
        count_identities: whether CMC counts identities, in the order of their first
            image, instead of images. AP and INP always count images.
    """

    drop: int
    count_identities: bool


#: SYSU-MM01: cameras 2 and 3 stand in the same room. LLCM: a shot is one identity seen by
#: one camera. RegDB: the two modalities have one camera each and nothing is dropped.
RANKING_PROTOCOLS = {
    'sysu': RankingProtocol(DROP_SAME_ROOM, count_identities=True),
    'regdb': RankingProtocol(DROP_NOTHING, count_identities=False),
    'llcm': RankingProtocol(DROP_SAME_SHOT, count_identities=True),
}


@dataclass(frozen=True)
class RankMetrics:
    """Averages over the valid queries, and what each query contributed.

    A query is valid if at least one gallery image that it may see shows its identity.

    Args:
        cmc: shape ``(max_rank,)`` float64, entry ``r - 1`` is the share of valid queries
            whose first match is among the first ``r`` ranks.
        mAP: mean average precision, in [0, 1].
        mINP: mean inverse negative penalty, in [0, 1].
        num_valid_queries: number of queries in the averages.
        valid: shape ``(Q,)`` bool.
        first_match_rank: shape ``(Q,)`` int64, the 1-based rank that CMC counts,
            0 where the query is not valid.
        average_precision: shape ``(Q,)`` float64, NaN where the query is not valid.
        inverse_negative_penalty: shape ``(Q,)`` float64, NaN where the query is not valid.
    """

    cmc: np.ndarray
    mAP: float
    mINP: float
    num_valid_queries: int
    valid: np.ndarray
    first_match_rank: np.ndarray
    average_precision: np.ndarray
    inverse_negative_penalty: np.ndarray


def rank_metrics(distance: Array,
                 query_ids: Array,
                 gallery_ids: Array,
                 query_cams: Array | None = None,
                 gallery_cams: Array | None = None,
                 *,
                 protocol: str,
                 max_rank: int = 20) -> RankMetrics:
    """Compute CMC, mAP and mINP of a distance matrix.

    The rows are never sorted as a whole: AP, INP and CMC need only the ranks of the
    matches, and the rank of a match is one plus the number of images before it. Images at
    equal distance are ranked in the order of the gallery.

    Rules of the protocols:

    * ``'sysu'``: queries of camera 3 do not see gallery camera 2; CMC counts identities.
    * ``'regdb'``: every query sees the whole gallery; CMC counts images.
    * ``'llcm'``: a query does not see its own identity under its own camera; CMC counts
      identities.

    AP is the mean of the precision at each match, INP the number of matches divided by the
    rank of the last one (Ye et al., "Deep Learning for Person Re-identification: A Survey
    and Outlook", section 3.4). A query without a match is left out of every average. A
    gallery with fewer ranks than ``max_rank`` continues the curve with its last value.

    Args:
        distance: shape ``(Q, G)``, smaller is nearer. CUDA tensors are copied to the host.
        query_ids: shape ``(Q,)`` int.
        gallery_ids: shape ``(G,)`` int.
        query_cams: shape ``(Q,)`` int, needed by ``'sysu'`` and ``'llcm'``.
        gallery_cams: shape ``(G,)`` int, needed by ``'sysu'`` and ``'llcm'``.
        protocol: ``'sysu'``, ``'regdb'`` or ``'llcm'``.
        max_rank: length of the CMC curve.

    Returns:
        RankMetrics: averages and per-query values.

    Raises:
        InputError: if shapes disagree, the protocol is unknown or lacks its cameras, a
            distance is NaN, or no query has a match.

    Examples:
        >>> import torch
        >>> from mmvireid.evaluation import rank_metrics
        >>> distance = torch.tensor([[0.3, 0.1, 0.2, 0.4]])  # of persons 10, 20, 20, 30
        >>> found = rank_metrics(distance, [10], [10, 20, 20, 30], protocol='regdb', max_rank=4)
        >>> found.cmc.tolist(), round(found.mAP, 3)
        ([0.0, 0.0, 1.0, 1.0], 0.333)
    """
    if protocol not in RANKING_PROTOCOLS:
        raise InputError(
            f'unknown protocol "{protocol}", choose one of {sorted(RANKING_PROTOCOLS)}')
    if max_rank < 1:
        raise InputError(f'max_rank must be at least 1, got {max_rank}')
    rule = RANKING_PROTOCOLS[protocol]
    distance = _distance_array(distance)
    num_query, num_gallery = distance.shape
    query_ids = _label_array('query_ids', query_ids, num_query)
    gallery_ids = _label_array('gallery_ids', gallery_ids, num_gallery)
    if rule.drop == DROP_NOTHING:
        query_cams = np.zeros(num_query, dtype=np.int64)
        gallery_cams = np.zeros(num_gallery, dtype=np.int64)
    elif query_cams is None or gallery_cams is None:
        raise InputError(f'protocol "{protocol}" needs query_cams and gallery_cams')
    query_cams = _label_array('query_cams', query_cams, num_query)
    gallery_cams = _label_array('gallery_cams', gallery_cams, num_gallery)

    # Consecutive numbers, so that the kernel can mark the identities it has seen.
    identities, codes = np.unique(np.concatenate([query_ids, gallery_ids]), return_inverse=True)
    first_rank, precision, penalty, has_nan = rank_matches(
        distance, codes[:num_query], codes[num_query:], query_cams, gallery_cams,
        len(identities), rule.drop, rule.count_identities)
    if has_nan.any():
        raise InputError(
            f'the distances of {int(has_nan.sum())} of {num_query} queries hold NaN (first: '
            f'query {int(np.argmax(has_nan))}); check the descriptors before ranking')
    valid = first_rank > 0
    num_valid = int(valid.sum())
    if num_valid == 0:
        raise InputError(
            f'none of the {num_query} queries has a match among the {num_gallery} gallery '
            f'images under protocol "{protocol}"; check identities and cameras')
    hits = np.bincount(np.minimum(first_rank[valid], max_rank + 1), minlength=max_rank + 2)
    return RankMetrics(
        cmc=np.cumsum(hits[1:max_rank + 1]) / num_valid,
        mAP=float(precision[valid].mean()),
        mINP=float(penalty[valid].mean()),
        num_valid_queries=num_valid,
        valid=valid,
        first_match_rank=first_rank,
        average_precision=precision,
        inverse_negative_penalty=penalty)


def _distance_array(distance: Array) -> np.ndarray:
    """Return a C-contiguous float32 or float64 array of shape ``(Q, G)``."""
    if isinstance(distance, torch.Tensor):
        distance = distance.detach()
        if distance.dtype not in (torch.float32, torch.float64):
            distance = distance.float()
        distance = distance.cpu().numpy()
    distance = np.asarray(distance)
    if distance.ndim != 2 or 0 in distance.shape:
        raise InputError(
            'distance must be of shape (queries, gallery images) with at least one of each, '
            f'got {distance.shape}')
    if distance.dtype not in (np.float32, np.float64):
        distance = distance.astype(np.float32 if distance.dtype == np.float16 else np.float64)
    return np.ascontiguousarray(distance)


def _label_array(name: str, labels: Array, expected: int) -> np.ndarray:
    """Return integer labels as a contiguous int64 array of the expected length."""
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    labels = np.asarray(labels)
    if labels.shape != (expected, ):
        raise InputError(f'{name} must be of shape ({expected},), got {labels.shape}')
    if labels.dtype.kind not in 'iub':
        raise InputError(f'{name} must be integers, got {labels.dtype}')
    return np.ascontiguousarray(labels, dtype=np.int64)
