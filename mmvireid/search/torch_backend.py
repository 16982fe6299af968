"""Exact top-k with torch: blocks of products, selected as they are made."""

import numpy as np
import torch

from .selection_kernel import merge_block

#: Elements of one block of scores: 64 MiB on CPU (it is consumed from cache and memory at
#: once), 1 GiB on CUDA (large products keep the device busy).
CPU_BLOCK, CUDA_BLOCK = 2**24, 2**28


def torch_topk(query: torch.Tensor, gallery: torch.Tensor, k: int, metric: str,
               chunk_size: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Search blocks of queries; see :func:`mmvireid.search.topk`.

    With ``metric='l2'`` rows are ranked by ``q . g - |g|^2 / 2``, which orders them as the
    distance does and loses nothing to ``|q|^2``.

    Args:
        query: shape ``(Q, D)`` float32.
        gallery: shape ``(G, D)`` float32 on the same device.
        k: number of neighbours, at most G.
        metric: ``'inner_product'`` or ``'l2'``.
        chunk_size: query rows per block, None to fit the block size of the device.

    Returns:
        tuple: scores and indices, both of shape ``(Q, k)``.
    """
    bias = -0.5 * gallery.square().sum(1) if metric == 'l2' else gallery.new_zeros(len(gallery))
    search = _search_cuda if query.is_cuda else _search_cpu
    scores, indices = search(query, gallery, bias, k, chunk_size)
    if metric == 'l2':
        scores = query.square().sum(1, keepdim=True).sub(scores, alpha=2).clamp_(min=0)
    return scores, indices


def _search_cpu(query, gallery, bias, k, chunk_size):
    """Merge blocks into the running top-k of each row with a compiled kernel."""
    scores = np.full((len(query), k), -np.inf, dtype=np.float32)
    indices = np.full((len(query), k), -1, dtype=np.int64)
    rows = chunk_size or 2048
    columns = max(1, CPU_BLOCK // rows)
    buffer = query.new_empty(rows * min(columns, len(gallery)))
    for start in range(0, len(query), rows):
        part = query[start:start + rows]
        for first in range(0, len(gallery), columns):
            images = gallery[first:first + columns]
            block = buffer[:len(part) * len(images)].view(len(part), len(images))
            torch.mm(part, images.T, out=block)
            merge_block(block.numpy(), bias[first:first + columns].numpy(), first,
                        scores[start:start + rows], indices[start:start + rows])
    return torch.from_numpy(scores), torch.from_numpy(indices)


def _search_cuda(query, gallery, bias, k, chunk_size):
    """Select from whole rows; rows with a tie across the cut are sorted stably."""
    scores = query.new_empty(len(query), k)
    indices = torch.empty(len(query), k, dtype=torch.int64, device=query.device)
    rows = chunk_size or max(1, CUDA_BLOCK // len(gallery))
    for start in range(0, len(query), rows):
        block = torch.addmm(bias, query[start:start + rows], gallery.T)
        value, index = select_stable(block, k)
        scores[start:start + rows], indices[start:start + rows] = value, index
    return scores, indices


def select_stable(block: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Select the ``k`` largest entries of each row, equal ones by lower column.

    Args:
        block: shape ``(B, G)``.
        k: number of entries, at most G.

    Returns:
        tuple: values and columns, both of shape ``(B, k)``, in descending order.
    """
    value, index = block.topk(min(k + 1, block.shape[1]), dim=1)
    if value.shape[1] > k:
        tied = value[:, k - 1] == value[:, k]
        value, index = value[:, :k], index[:, :k]
        if bool(tied.any()):
            whole, order = block[tied].sort(dim=1, descending=True, stable=True)
            value[tied], index[tied] = whole[:, :k], order[:, :k]
    index, order = index.sort(dim=1)
    value, order = value.gather(1, order).sort(dim=1, descending=True, stable=True)
    return value, index.gather(1, order)
