"""Average pooling of maps in several branches."""

from torch import Tensor, nn

from mmvireid.registry import MODELS


@MODELS.register_module()
class BranchPooling(nn.Module):
    """Average each map, and bring the branches of an image together.

    A backbone that expands its batch gives the maps of all images in one branch, then
    those of the next. Losses and descriptors want the branches beside each other, so that
    they stay with their image through gathering and ordering.

    Args:
        num_branches: B, the unexpanded maps included; 3 behind
            :class:`mmvireid.models.DiverseEmbeddingExpansion`, 1 without it.

    Examples:
        >>> import torch
        >>> from mmvireid.models import BranchPooling
        >>> maps = torch.arange(4.).view(4, 1, 1, 1)  # images 0 and 1, then their branches 2, 3
        >>> BranchPooling(num_branches=2)(maps).squeeze(2)
        tensor([[0., 2.],
                [1., 3.]])
    """

    def __init__(self, num_branches: int = 3) -> None:
        super().__init__()
        self.num_branches = num_branches

    def forward(self, x: Tensor) -> Tensor:
        """Pool the maps.

        Args:
            x: shape ``(B * N, C, h, w)``.

        Returns:
            Shape ``(N, B, C)``.
        """
        return x.flatten(2).mean(2).unflatten(0, (self.num_branches, -1)).transpose(0, 1)

    def extra_repr(self) -> str:
        """Show the number of branches."""
        return f'num_branches={self.num_branches}'
