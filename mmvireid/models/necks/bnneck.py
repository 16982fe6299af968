"""The batch normalisation between metric learning and classification."""

from torch import nn

from mmvireid.registry import MODELS


@MODELS.register_module()
class BNNeck(nn.BatchNorm1d):
    """Batch normalisation whose bias is zero and frozen.

    Metric losses see the feature before it, the classifier and the retrieval the
    feature after it. Without a bias the classes stay arranged around the origin,
    which suits the cosine (Luo et al., "Bag of Tricks and a Strong Baseline for
    Deep Person Re-identification", section 3.5). The weight starts as N(1, 0.01).

    Args:
        in_channels: D of the features of shape ``(N, D)``.

    Examples:
        >>> import torch
        >>> from mmvireid.models import BNNeck
        >>> bnneck = BNNeck(4)
        >>> bnneck(torch.rand(6, 4)).mean(0).abs() < 1e-6  # of each channel in the batch
        tensor([True, True, True, True])
        >>> [name for name, parameter in bnneck.named_parameters() if parameter.requires_grad]
        ['weight']
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.bias.requires_grad_(False)
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the weight anew and set the bias to zero."""
        nn.init.normal_(self.weight, 1.0, 0.01)
        nn.init.zeros_(self.bias)
