"""Which gallery images a query may not see, for those who draw a ranking."""

import numpy as np

from .ranking import RANKING_PROTOCOLS
from .ranking_kernel import DROP_SAME_ROOM, DROP_SAME_SHOT


def seen_gallery(query_id: int, query_cam: int, gallery_ids: np.ndarray,
                 gallery_cams: np.ndarray, *, protocol: str) -> np.ndarray:
    """Tell which gallery images count for one query.

    The same rules as in :func:`rank_metrics`, for one query and as a mask.

    Args:
        query_id: identity of the query.
        query_cam: camera of the query.
        gallery_ids: shape ``(G,)`` int.
        gallery_cams: shape ``(G,)`` int.
        protocol: ``'sysu'``, ``'regdb'`` or ``'llcm'``.

    Returns:
        np.ndarray: shape ``(G,)`` bool.
    """
    drop = RANKING_PROTOCOLS[protocol].drop
    if drop == DROP_SAME_ROOM:
        return (gallery_cams != 2) | (query_cam != 3)
    if drop == DROP_SAME_SHOT:
        return (gallery_ids != query_id) | (gallery_cams != query_cam)
    return np.ones(len(gallery_ids), dtype=bool)
