"""Top-k search: one entry, several backends."""

from collections.abc import Callable

import numpy as np
import torch

from mmvireid.utils.errors import InputError
from mmvireid.utils.precision import full_precision

from .faiss_backend import faiss_topk
from .ivf import ivf_backend
from .torch_backend import torch_topk

Array = np.ndarray | torch.Tensor

#: name -> function(query, gallery, k, metric, chunk_size) on float32 tensors of one device.
SEARCH_BACKENDS: dict[str, Callable] = {
    'torch': torch_topk,
    'faiss': faiss_topk,
    'ivf': ivf_backend,
}
METRICS = ('inner_product', 'l2')


def topk(query: Array,
         gallery: Array,
         k: int,
         *,
         backend: str = 'torch',
         metric: str = 'inner_product',
         chunk_size: int | None = None) -> tuple[Array, Array]:
    """Find the ``k`` nearest gallery rows of each query.

    Neighbours come in order, nearest first. At equal score the lower gallery index comes
    first (backend ``'torch'``), so the result is the same on every run. The whole score
    matrix never exists: it is computed and consumed in blocks.

    Args:
        query: shape ``(Q, D)`` float, torch (CPU or CUDA) or numpy.
        gallery: shape ``(G, D)`` float, of the same kind as ``query``.
        k: number of neighbours; a gallery with fewer rows gives all of them.
        backend: ``'torch'`` (exact), ``'faiss'`` (its flat index: exact too, but ties come
            in faiss's order) or ``'ivf'`` (approximate, logs its recall).
        metric: ``'inner_product'`` (larger is nearer) or ``'l2'`` (squared Euclidean
            distance, smaller is nearer).
        chunk_size: query rows per block, None for the backend's choice.

    Returns:
        tuple: scores of shape ``(Q, min(k, G))`` float32 and indices of the same shape
        int64, numpy or torch as ``query`` was.

    Raises:
        InputError: if shapes do not agree, a value is not finite, or an option is unknown.

    Examples:
        >>> import torch
        >>> from mmvireid.search import topk
        >>> gallery = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> scores, rows = topk(torch.tensor([[0.0, 1.0]]), gallery, k=2)
        >>> rows
        tensor([[2, 1]])
    """
    if backend not in SEARCH_BACKENDS:
        raise InputError(
            f'unknown search backend "{backend}", choose one of {sorted(SEARCH_BACKENDS)}')
    if metric not in METRICS:
        raise InputError(f'unknown metric "{metric}", choose one of {METRICS}')
    if k < 1:
        raise InputError(f'k must be at least 1, got {k}')
    rows = float_rows('query', query)
    columns = rows if gallery is query else float_rows('gallery', gallery).to(rows.device)
    if rows.shape[1] != columns.shape[1]:
        raise InputError(
            f'query has {rows.shape[1]} dimensions but gallery has {columns.shape[1]}')
    if len(columns) == 0:
        raise InputError('the gallery is empty')
    with full_precision(rows):
        scores, indices = SEARCH_BACKENDS[backend](rows, columns, min(k, len(columns)), metric,
                                                   chunk_size)
    if isinstance(query, np.ndarray):
        return scores.cpu().numpy(), indices.cpu().numpy()
    return scores, indices


def float_rows(name: str, array: Array) -> torch.Tensor:
    """Check an array of rows and make it a contiguous float32 tensor.

    Args:
        name: what an error calls the array.
        array: shape ``(N, D)``, of any number type.

    Returns:
        Tensor: shape ``(N, D)``; the array itself where nothing is to be converted.

    Raises:
        InputError: if it has another number of dimensions, or holds NaN or infinity.
    """
    tensor = torch.as_tensor(array).detach()
    if tensor.ndim != 2:
        raise InputError(f'{name} must be of shape (rows, dimensions), got {tuple(tensor.shape)}')
    tensor = tensor.float().contiguous()
    # The sum is NaN or infinite if any element is: one pass and no mask in memory.
    if not bool(torch.isfinite(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
        raise InputError(f'{name} holds NaN or infinity')
    return tensor
