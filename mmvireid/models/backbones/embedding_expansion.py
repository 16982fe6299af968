"""The diverse embedding expansion of DEEN."""

import torch
from torch import Tensor, nn

from mmvireid.registry import MODELS


class _DilatedBranch(nn.Module):
    """Three fields of view of one map, averaged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.dilation1 = nn.Conv2d(channels, inner, 3, padding=1, dilation=1, bias=False)
        self.dilation2 = nn.Conv2d(channels, inner, 3, padding=2, dilation=2, bias=False)
        self.dilation3 = nn.Conv2d(channels, inner, 3, padding=3, dilation=3, bias=False)
        self.proj = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        views = self.dilation1(x) + self.dilation2(x) + self.dilation3(x)
        return self.proj((views / 3).relu())


@MODELS.register_module()
class DiverseEmbeddingExpansion(nn.Module):
    """Make two further maps of each map, from which an image gets further embeddings.

    Each branch averages convolutions of dilation 1, 2 and 3. What follows in the trunk sees
    three times as many rows, and :class:`mmvireid.models.BranchPooling` brings those of an
    image together. Losses keep the branches apart: see
    :class:`mmvireid.models.CenterGuidedPairMiningLoss` and
    :class:`mmvireid.models.BranchOrthogonalityLoss` (DEEN, arXiv 2303.14481).

    Args:
        channels: C of the map.
        dropout: share of values that are set to zero in training, in the map itself too.

    Examples:
        >>> import torch
        >>> from mmvireid.models import DiverseEmbeddingExpansion
        >>> maps = torch.rand(5, 8, 6, 3)
        >>> expanded = DiverseEmbeddingExpansion(8).eval()(maps)
        >>> expanded.shape, bool((expanded[:5] == maps).all())
        (torch.Size([15, 8, 6, 3]), True)
    """

    def __init__(self, channels: int, dropout: float = 0.01) -> None:
        super().__init__()
        self.branch1 = _DilatedBranch(channels)
        self.branch2 = _DilatedBranch(channels)
        self.dropout = nn.Dropout(dropout)
        self.init_weights()

    def init_weights(self) -> None:
        """Draw all weights by Kaiming's scheme, fan-in, and the biases as PyTorch does."""
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                part.reset_parameters()
                nn.init.kaiming_normal_(part.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Expand maps.

        Args:
            x: shape ``(N, C, h, w)``.

        Returns:
            Shape ``(3N, C, h, w)``: all maps, then all of the first branch, then all of the
            second.
        """
        return self.dropout(torch.cat([x, self.branch1(x), self.branch2(x)]))
