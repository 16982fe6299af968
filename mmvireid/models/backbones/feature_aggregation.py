"""The multi-stage feature aggregation of DEEN."""

from torch import Tensor, nn

from mmvireid.registry import MODELS
from mmvireid.utils.errors import InputError

from ..utils import at_least_float32, without_autocast


class _Attention(nn.Module):
    """Add to a high map what it attends to in a low one.

    The batch normalisation at the end starts at zero, so that at first nothing is added.
    """

    def __init__(self, high_channels: int, low_channels: int, inner_channels: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(high_channels, inner_channels, 1)
        self.phi = nn.Conv2d(low_channels, inner_channels, 1)
        self.g = nn.Conv2d(low_channels, inner_channels, 1)
        self.proj = nn.Conv2d(inner_channels, high_channels, 1)
        self.bn = nn.BatchNorm2d(high_channels)
        self.init_weights()

    def init_weights(self) -> None:
        for part in (self.theta, self.phi, self.g, self.proj, self.bn):
            part.reset_parameters()
        nn.init.zeros_(self.bn.weight)

    def add(self, high: Tensor, attended: Tensor) -> Tensor:
        # Products of three maps grow with the cube of the activations: only behind the
        # normalisation are they fit for half precision.
        with without_autocast(high):
            return high + self.bn(self.proj(attended)).to(high.dtype)


class _ChannelAttention(_Attention):
    """Which channels of the high map go with which of the low one."""

    def __init__(self, high_channels: int, low_channels: int, stride: int) -> None:
        super().__init__(high_channels, low_channels, low_channels)
        self.stride = stride

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        # Convolutions of one pixel with a stride see these positions only, first and last.
        low = low[:, :, ::self.stride, ::self.stride]
        theta, phi, g = self.theta(high), self.phi(low), self.g(low)
        with without_autocast(high):
            theta, phi, g = (at_least_float32(x).flatten(2) for x in (theta, phi, g))
            # As released: the divisor is the number of channels, and there is no softmax.
            attention = theta @ phi.mT / theta.shape[1]
            attended = (attention @ g).unflatten(2, high.shape[2:])
        return self.add(high, attended)


class _PixelAttention(_Attention):
    """Which positions of the high map go with which of the low one."""

    def __init__(self, high_channels: int, low_channels: int, fold_positions: bool) -> None:
        super().__init__(high_channels, low_channels, low_channels // 2)
        self.fold_positions = fold_positions

    def _rows(self, x: Tensor) -> Tensor:
        """Write a map as a matrix, one column for each position that has a weight."""
        if not self.fold_positions:
            return x.flatten(2)
        # The upper half of a channel's raster becomes one row, the lower half the next.
        return x.reshape(x.shape[0], 2 * x.shape[1], -1)

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        for x in (high, low):
            if self.fold_positions and x.shape[2] * x.shape[3] % 2:
                raise InputError(
                    'folded attention pairs the upper half of a map with the lower one, but got '
                    f'a map of {x.shape[2]} x {x.shape[3]} positions, an odd number: change the '
                    'image size, or set fold_positions=False.')
        theta, phi, g = self.theta(high), self.phi(low), self.g(low)
        inner_shape = theta.shape
        with without_autocast(high):
            theta, phi, g = (self._rows(at_least_float32(x)) for x in (theta, phi, g))
            rows, n, m = theta.shape[1], theta.shape[2], g.shape[2]
            # Without a softmax the product of three matrices can be formed from either end:
            # over positions (n x m) it costs 2 rows n m, over rows (rows x rows) rows^2 (n + m).
            if 2 * n * m < rows * (n + m):
                attended = g @ (theta.mT @ phi).mT / m
            else:
                attended = (g @ phi.mT) @ theta / m
            attended = attended.reshape(inner_shape)
        return self.add(high, attended)


@MODELS.register_module()
class MultiStageFeatureAggregation(nn.Module):
    """Bring back into the output of a stage what the stage has lost of its input.

    Two attentions in a row look from the output (high) into the input (low): the first
    weighs channels against channels, the second positions against positions (DEEN, arXiv
    2303.14481). Both are linear, without a softmax, end in a batch normalisation that starts
    at zero, and so change nothing at first.

    The released code reads the maps of its second attention so that a position of the upper
    half of the image and its partner in the lower half share one weight, with the channels
    of both side by side. Published numbers come from that; ``fold_positions=False`` is the
    attention over single positions that the name promises.

    Args:
        high_channels: channels of the output of the stage.
        low_channels: channels of its input.
        stride: how many times smaller the output is on each side.
        fold_positions: whether the second attention pairs the two halves, as released. Maps
            then need an even number of positions.

    Examples:
        >>> import torch
        >>> from mmvireid.models import MultiStageFeatureAggregation
        >>> aggregation = MultiStageFeatureAggregation(16, 8, stride=2)
        >>> high, low = torch.rand(2, 16, 6, 3), torch.rand(2, 8, 12, 6)
        >>> bool((aggregation(high, low) == high).all())  # at the start
        True
    """

    #: Called with the input of the stage as a second argument.
    takes_stage_input = True

    def __init__(self,
                 high_channels: int,
                 low_channels: int,
                 stride: int = 1,
                 fold_positions: bool = True) -> None:
        super().__init__()
        self.channel = _ChannelAttention(high_channels, low_channels, stride)
        self.pixel = _PixelAttention(high_channels, low_channels, fold_positions)

    def init_weights(self) -> None:
        """Draw all convolutions as PyTorch does and set the normalisations to zero."""
        self.channel.init_weights()
        self.pixel.init_weights()

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        """Add what both attentions find.

        Args:
            high: output of the stage, shape ``(N, C, h, w)``.
            low: its input, shape ``(N, C', h * stride, w * stride)``.

        Returns:
            Shape ``(N, C, h, w)``.

        Raises:
            InputError: if a map that is to be folded has an odd number of positions.
        """
        return self.pixel(self.channel(high, low), low)
