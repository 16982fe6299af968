"""Generalised mean pooling."""

from torch import Tensor, nn

from mmvireid.registry import MODELS

from ..utils import at_least_float32, without_autocast


@MODELS.register_module()
class GeneralizedMeanPooling(nn.Module):
    """Pool a map by ``(mean(x ** p) + eps) ** (1 / p)`` with a fixed exponent.

    The epsilon is inside the root, as in AGW; mmpretrain's part of the same name
    holds the single values above it instead and learns the exponent. Cubes of
    activations overflow half precision, so the pooling runs in float32. Negative
    activations, which only trunks without a last ReLU give, count as zero.

    Args:
        p: the exponent; 1 is the average, infinity the maximum.
        eps: keeps the gradient of the root finite where a channel is silent.

    Examples:
        >>> import torch
        >>> from mmvireid.models import GeneralizedMeanPooling
        >>> maps = torch.tensor([[[[0.0, 0.0], [0.0, 2.0]]]])
        >>> [round(GeneralizedMeanPooling(p)(maps).item(), 2) for p in (1, 3)]
        [0.5, 1.26]
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-12) -> None:
        super().__init__()
        self.p = p
        self.eps = eps

    def forward(self, x: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        """Pool one map or each map of a tuple.

        Args:
            x: shape ``(N, C, H, W)``, or a tuple of such maps.

        Returns:
            Shape ``(N, C)``, or a tuple of such tensors.
        """
        if isinstance(x, tuple):
            return tuple(self(stage) for stage in x)
        with without_autocast(x):
            powers = at_least_float32(x).clamp(min=0).pow(self.p)
            return (powers.flatten(2).mean(-1) + self.eps).pow(1 / self.p)

    def extra_repr(self) -> str:
        """Show exponent and epsilon."""
        return f'p={self.p}, eps={self.eps}'
