"""The pattern alignment module of MPANet."""

import torch
from torch import Tensor, nn

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError

from ..losses.pattern_separation import pattern_separation


@MODELS.register_module()
class PatternAlignment(nn.Module):
    """Pool a map once for each of several learnt patterns, and once as a whole.

    A convolution of 1 x 1 and a sigmoid give the attention of each pattern to each
    position. Its feature is the mean over all positions of the map times its attention, so
    a pattern that hardly shows in an image has a short feature. The patterns, in their
    order, and the mean of the map itself stand beside each other (Wu et al., "Discover
    Cross-Modality Nuances for Visible-Infrared Person Re-Identification", CVPR 2021).

    :func:`mmvireid.models.pattern_separation` keeps the patterns apart; it needs the
    attention, so this neck computes it.

    Args:
        in_channels: D of the map.
        num_patterns: P.
        separation_weight: factor of the separation loss; 0 leaves it out.

    Raises:
        ConfigError: without any pattern.

    Examples:
        >>> import torch
        >>> from mmvireid.models import PatternAlignment
        >>> neck = PatternAlignment(in_channels=8, num_patterns=2)
        >>> neck(torch.rand(5, 8, 4, 3)).shape  # two patterns, then the whole
        torch.Size([5, 24])
        >>> sorted(neck.auxiliary_losses())
        ['loss_separation']
    """

    def __init__(self,
                 in_channels: int,
                 num_patterns: int = 6,
                 separation_weight: float = 0.5) -> None:
        super().__init__()
        if num_patterns < 1:
            raise ConfigError(f'num_patterns must be at least 1, got {num_patterns}: a neck '
                              'without patterns is mmpretrain.GlobalAveragePooling')
        self.num_patterns = num_patterns
        self.separation_weight = separation_weight
        self.attention = nn.Conv2d(in_channels, num_patterns, 1)
        nn.init.zeros_(self.attention.bias)
        self._maps: Tensor | None = None

    def pattern_maps(self, x: Tensor) -> Tensor:
        """Compute the attention of each pattern to each position.

        Args:
            x: shape ``(N, D, h, w)``.

        Returns:
            Shape ``(N, P, h, w)``, between 0 and 1.

        Raises:
            ConfigError: if there are more patterns than positions, which can never part.
        """
        height, width = x.shape[2:]
        if self.num_patterns > height * width:
            raise ConfigError(
                f'num_patterns is {self.num_patterns}, but a map of {height} x {width} positions '
                f'has room for {height * width} patterns: use larger images or fewer patterns')
        return self.attention(x).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Pool a map by every pattern and as a whole.

        Args:
            x: shape ``(N, D, h, w)``.

        Returns:
            Shape ``(N, D * (P + 1))``: the P patterns, then the whole, D values each.
        """
        maps = self.pattern_maps(x)
        # Kept for the loss of this batch only: a network must stay possible to copy.
        self._maps = maps if self.training else None
        positions = x.flatten(2).transpose(1, 2)
        patterns = maps.flatten(2) @ positions / positions.shape[1]
        return torch.cat([patterns.flatten(1), positions.mean(1)], dim=1)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """Compute the separation loss of the last batch of training, once.

        Returns:
            ``loss_separation``, weighted; nothing without such a batch or with weight 0.
        """
        maps, self._maps = self._maps, None
        if maps is None or not self.separation_weight:
            return {}
        return {'loss_separation': self.separation_weight * pattern_separation(maps)}
