"""Approximate top-k by an inverted file, with the recall it reached."""

import logging

import numpy as np
import torch

from .faiss_backend import require_faiss
from .torch_backend import torch_topk

logger = logging.getLogger(__name__)

#: Queries that are searched exactly as well, to measure the recall.
RECALL_SAMPLE = 256


def ivf_topk(query: torch.Tensor,
             gallery: torch.Tensor,
             k: int,
             metric: str = 'inner_product',
             *,
             num_lists: int | None = None,
             num_probes: int | None = None) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Search only the gallery cells near each query.

    The gallery is cut into cells by k-means; a query visits the nearest of them. What is
    missed is not silent: a fixed sample of queries is searched exactly too, and the share
    of their true neighbours found is returned. A query whose cells hold fewer than ``k``
    images is searched exactly.

    Args:
        query: shape ``(Q, D)`` float32.
        gallery: shape ``(G, D)`` float32.
        k: number of neighbours, at most G.
        metric: ``'inner_product'`` or ``'l2'``.
        num_lists: number of cells, None for four times the square root of G, but at most
            one per 39 images, what faiss asks for to train k-means.
        num_probes: cells a query visits, None for an eighth of them.

    Returns:
        tuple: scores and indices of shape ``(Q, k)``, and the recall in [0, 1].
    """
    faiss = require_faiss()
    kind = faiss.METRIC_INNER_PRODUCT if metric == 'inner_product' else faiss.METRIC_L2
    images, dim = gallery.cpu().numpy(), gallery.shape[1]
    if num_lists is None:
        num_lists = max(1, min(int(4 * len(images)**0.5), len(images) // 39))
    if num_probes is None:
        num_probes = max(1, num_lists // 8)
    index = faiss.IndexIVFFlat(faiss.IndexFlat(dim, kind), dim, num_lists, kind)
    index.train(images)
    index.add(images)
    index.nprobe = num_probes
    scores, indices = (torch.from_numpy(part) for part in index.search(query.cpu().numpy(), k))

    short = (indices < 0).any(1)
    if bool(short.any()):
        rows = query[short.to(query.device)]
        exact = torch_topk(rows, gallery, k, metric, None)
        scores[short], indices[short] = exact[0].cpu(), exact[1].cpu()
    sample = torch.from_numpy(
        np.random.default_rng(0).permutation(len(query))[:RECALL_SAMPLE])
    true = torch_topk(query[sample.to(query.device)], gallery, k, metric, None)[1].cpu()
    hits = (indices[sample][:, :, None] == true[:, None, :]).any(1)
    return scores.to(query.device), indices.to(query.device), float(hits.float().mean())


def ivf_backend(query: torch.Tensor, gallery: torch.Tensor, k: int, metric: str,
                chunk_size: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Search by :func:`ivf_topk` and log the recall; see :func:`mmvireid.search.topk`.

    The recall is logged as a warning, which Python shows to those who have set up no
    logging: nobody should take approximate neighbours for exact ones.

    Args:
        query: shape ``(Q, D)`` float32.
        gallery: shape ``(G, D)`` float32.
        k: number of neighbours, at most G.
        metric: ``'inner_product'`` or ``'l2'``.
        chunk_size: not used, faiss walks query by query.

    Returns:
        tuple: scores and indices of shape ``(Q, k)``.
    """
    scores, indices, recall = ivf_topk(query, gallery, k, metric)
    logger.warning('approximate search (IVF) of %d among %d images: recall@%d %.4f on %d queries',
                   len(query), len(gallery), k, recall, min(len(query), RECALL_SAMPLE))
    return scores, indices
