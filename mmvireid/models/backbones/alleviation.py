"""The modality alleviation module of MPANet."""

from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError


@MODELS.register_module()
class ModalityAlleviation(nn.Module):
    """Take out of some channels what the style of an image, hence its modality, puts in.

    Instance normalisation makes the mean and the variance of every channel of every image
    the same. It takes away the look of a modality, and some of the person with it. A gate
    decides for each channel of each image how much of it stays as it was:
    ``s * x + (1 - s) * IN(x)`` with ``s = sigmoid(W2 relu(W1 mean(x)))`` (Wu et al.,
    "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification", CVPR
    2021).

    Args:
        channels: C of the map.
        reduction: the inner width of the gate is ``C // reduction``.

    Raises:
        ConfigError: if no channel is left inside the gate.

    Examples:
        >>> import torch
        >>> from mmvireid.models import ModalityAlleviation
        >>> alleviation = ModalityAlleviation(channels=4, reduction=2)
        >>> maps = 3 + 2 * torch.rand(1, 4, 6, 3)
        >>> _ = torch.nn.init.constant_(alleviation.reduce.weight, 1)
        >>> _ = torch.nn.init.constant_(alleviation.expand.weight, -100)  # the gate closes
        >>> alleviation(maps).mean((2, 3)).abs() < 1e-5
        tensor([[True, True, True, True]])
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        if not 1 <= reduction <= channels:
            raise ConfigError(f'reduction must be between 1 and the {channels} channels of the '
                              f'map, got {reduction}')
        self.reduce = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.expand = nn.Conv2d(channels // reduction, channels, 1, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the two convolutions of the gate by Kaiming's scheme, fan-out."""
        for convolution in (self.reduce, self.expand):
            nn.init.kaiming_normal_(convolution.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, x: Tensor) -> Tensor:
        """Mix a map with its instance normalisation.

        Args:
            x: shape ``(N, C, H, W)``, of more than one position.

        Returns:
            Shape ``(N, C, H, W)``.
        """
        inner = self.reduce(functional.adaptive_avg_pool2d(x, 1)).relu()
        kept = self.expand(inner).sigmoid()
        return kept * x + (1 - kept) * functional.instance_norm(x)
