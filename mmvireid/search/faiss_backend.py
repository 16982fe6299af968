"""Exact top-k with faiss's flat index, on CPU or GPU."""

from types import ModuleType

import torch

from mmvireid.utils.errors import EnvironmentMismatchError


def require_faiss() -> ModuleType:
    """Import faiss, which is optional: PyTorch searches exactly without it.

    Returns:
        ModuleType: the package.

    Raises:
        EnvironmentMismatchError: if it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise EnvironmentMismatchError(
            'faiss is not installed: pip install faiss-cpu, or faiss-gpu-cu12 on a machine with a '
            "GPU, or choose 'torch', which searches exactly without it.") from error
    return faiss


def faiss_topk(query: torch.Tensor, gallery: torch.Tensor, k: int, metric: str,
               chunk_size: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Search a flat index; see :func:`mmvireid.search.topk`.

    CUDA tensors are searched on their own device when faiss was built with GPU support,
    otherwise on the host. faiss copies the gallery into its index.

    Args:
        query: shape ``(Q, D)`` float32.
        gallery: shape ``(G, D)`` float32 on the same device.
        k: number of neighbours, at most G.
        metric: ``'inner_product'`` or ``'l2'``.
        chunk_size: query rows per call, None for all at once.

    Returns:
        tuple: scores and indices, both of shape ``(Q, k)``, on the device of ``query``.
    """
    faiss = require_faiss()
    kind = faiss.METRIC_INNER_PRODUCT if metric == 'inner_product' else faiss.METRIC_L2
    index = faiss.IndexFlat(gallery.shape[1], kind)
    if query.is_cuda and hasattr(faiss, 'StandardGpuResources'):
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), query.device.index or 0,
                                       index)
    index.add(gallery.cpu().numpy())
    rows = query.cpu()
    parts = [index.search(part.numpy(), k) for part in rows.split(chunk_size or max(1, len(rows)))]
    scores = torch.cat([torch.from_numpy(score) for score, _ in parts])
    indices = torch.cat([torch.from_numpy(found) for _, found in parts])
    if metric == 'l2':
        scores = scores.clamp_(min=0)
    return scores.to(query.device), indices.to(query.device)
