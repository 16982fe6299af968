"""Rows of all processes, with gradient."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as torch_dist
from mmengine.dist import get_rank, get_world_size
from torch import Tensor


class _GatherRows(torch.autograd.Function):
    """Concatenate rows over ranks; the gradient is summed over ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        # All ranks have equally many rows: the sampler's batches are full.
        parts = [torch.empty_like(rows) for _ in range(get_world_size())]
        torch_dist.all_gather(parts, rows)
        ctx.num_rows = len(rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # Every rank has computed the whole loss from all rows, so each holds a gradient for the
        # rows of every other rank. Their sum is taken, because DistributedDataParallel divides
        # by the number of ranks afterwards.
        grad = grad.contiguous().clone()
        torch_dist.all_reduce(grad)
        start = get_rank() * ctx.num_rows
        return grad[start:start + ctx.num_rows]


def gather_rows(rows: Tensor) -> Tensor:
    """Concatenate the rows of all ranks, rank 0 first.

    Every rank then computes the loss of the whole batch. Backward sums the
    gradients of all ranks, and ``DistributedDataParallel`` divides by their
    number, so each parameter, before the gathering or after it, gets exactly
    the gradient that one process would compute on the whole batch.

    Args:
        rows: shape ``(N, ...)``, the same on every rank.

    Returns:
        Tensor of shape ``(world_size * N, ...)``; ``rows`` itself in a single
        process.
    """
    if get_world_size() == 1:
        return rows
    return _GatherRows.apply(rows)


def map_rows(function: Callable[[Tensor], Tensor],
             features: Tensor | dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
    """Do the same to the one tensor of a batch, or to each of its named tensors.

    Args:
        function: what is done to a tensor.
        features: one tensor of shape ``(N, ...)``, or several by name.

    Returns:
        What the function gives, usually of shape ``(N, ...)`` too, by the same names.

    Examples:
        >>> import torch
        >>> from mmvireid.models.utils import map_rows
        >>> features = dict(whole=torch.tensor([1., 2.]), parts=torch.tensor([[3.], [4.]]))
        >>> map_rows(lambda rows: rows.flip(0), features)
        {'whole': tensor([2., 1.]), 'parts': tensor([[4.],
                [3.]])}
    """
    if isinstance(features, Tensor):
        return function(features)
    return {name: function(rows) for name, rows in features.items()}
