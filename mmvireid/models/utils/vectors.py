"""Directions of vectors, distances between them, and means with weights."""

import torch
from torch import Tensor


def unit_rows(x: Tensor, eps: float = 1e-12) -> Tensor:
    """Scale the last axis to length one, and leave zero rows zero.

    Unlike dividing by ``max(norm, eps)``, whose gradient at a zero row is of the
    size ``1 / eps``, a row shorter than ``eps`` is divided by one: both its value
    and its gradient stay finite.

    Args:
        x: shape ``(..., D)``.
        eps: rows with a norm not above this count as zero.

    Returns:
        Tensor of the shape of ``x``.

    Examples:
        >>> import torch
        >>> from mmvireid.models.utils import unit_rows
        >>> unit_rows(torch.tensor([[3., 4.], [0., 0.]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / torch.where(norm > eps, norm, 1.0)


def pairwise_euclidean(x: Tensor, y: Tensor, eps: float = 1e-12) -> Tensor:
    """Compute all Euclidean distances between the rows of two sets.

    The square is expanded, so the work is one matrix product. Squares are held
    above ``eps`` before the root: a pair of equal rows has a distance of
    ``sqrt(eps)`` and no gradient instead of an infinite one.

    Args:
        x: shape ``(N, D)``.
        y: shape ``(M, D)``.
        eps: smallest squared distance.

    Returns:
        Distances of shape ``(N, M)``.
    """
    # |x - y|^2 = |x|^2 + |y|^2 - 2 x.y; the products are added in place to the outer sum.
    squares = x.square().sum(1)[:, None] + y.square().sum(1)[None, :]
    return torch.addmm(squares, x, y.T, alpha=-2).clamp(min=eps).sqrt()


def weighted_mean(value: Tensor, weight: Tensor) -> Tensor:
    """Average with weights; nothing to average gives zero.

    A mask as the weight averages what it selects, without waiting for a GPU to count it.

    Args:
        value: any shape.
        weight: the same shape, not negative.

    Returns:
        Scalar.

    Examples:
        >>> import torch
        >>> from mmvireid.models.utils import weighted_mean
        >>> weighted_mean(torch.tensor([1., 5., 9.]), torch.tensor([True, True, False]))
        tensor(3.)
        >>> weighted_mean(torch.tensor([1., 5., 9.]), torch.zeros(3))
        tensor(0.)
    """
    total = weight.sum()
    return (value * weight).sum() / torch.where(total > 0, total, 1.0)
