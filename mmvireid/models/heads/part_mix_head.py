"""The head of our unofficial PartMix."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo
from mmvireid.utils.errors import ConfigError

from ..losses import PartMixLoss
from .mutual_mean_head import MutualMeanHead


@MODELS.register_module()
class PartMixHead(MutualMeanHead):
    """Add the contrast with mixtures of parts to the losses of MPANet.

    **Unofficial, not reproduced**: see :class:`mmvireid.models.PartMixLoss`. The parts are
    the patterns of :class:`mmvireid.models.PatternAlignment`; the feature of the whole map,
    which stands behind them, is not mixed. How sure the classifier is of a mixture is judged
    with the whole of the anchor, by the running statistics of the BNNeck.

    Args:
        num_classes: C, identities of the training set.
        in_channels: ``D * (num_patterns + 1)`` of the pooled features.
        num_patterns: P, as in the neck.
        start_epoch: the first epoch, counted from 1, with this loss: before it patterns and
            classifier mean nothing yet.
        part_mix: arguments of :class:`mmvireid.models.PartMixLoss`; with ``loss_weight=0``
            the head is :class:`mmvireid.models.MutualMeanHead`.
        **kwargs: other arguments of :class:`mmvireid.models.MutualMeanHead`.

    Raises:
        ConfigError: if ``in_channels`` cannot be that of so many patterns.

    Examples:
        >>> import torch
        >>> from mmvireid.models import PartMixHead
        >>> from mmvireid.structures import BatchInfo
        >>> head = PartMixHead(num_classes=10, in_channels=32, num_patterns=3, start_epoch=5)
        >>> info = BatchInfo(modality=torch.tensor([0, 0, 1, 1]), label=torch.tensor([3, 7, 3, 7]))
        >>> 'loss_part_mix' in head.loss(torch.rand(4, 32), info)
        False
        >>> head.set_epoch(4)  # the fifth
        >>> 'loss_part_mix' in head.loss(torch.rand(4, 32), info)
        True
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 num_patterns: int = 6,
                 start_epoch: int = 10,
                 part_mix: dict | None = None,
                 **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if in_channels % (num_patterns + 1):
            raise ConfigError(
                f'the features of {num_patterns} patterns and of the whole have a multiple of '
                f'{num_patterns + 1} channels, but in_channels of the head is {in_channels}: set '
                'model.head.num_patterns to that of the neck')
        self.num_patterns = num_patterns
        self.start_epoch = start_epoch
        self.part_mix = PartMixLoss(**{'loss_weight': 0.5, **(part_mix or {})})

    def loss(self, pooled: Tensor, info: BatchInfo) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            pooled: shape ``(N, D * (P + 1))``, the patterns before the whole.
            info: of the N rows, with labels 0 .. C-1.

        Returns:
            Those of :class:`mmvireid.models.MutualMeanHead`, and ``loss_part_mix`` from its
            first epoch on.
        """
        losses = super().loss(pooled, info)
        if self.part_mix.loss_weight and self.epoch + 1 >= self.start_epoch:
            losses['loss_part_mix'] = self.loss_of_mixtures(pooled, info)
        return losses

    def loss_of_mixtures(self, pooled: Tensor, info: BatchInfo) -> Tensor:
        """Contrast the images of a batch with mixtures of their parts.

        Args:
            pooled: shape ``(N, D * (P + 1))``.
            info: of the N rows.

        Returns:
            Scalar, weighted.
        """
        features = pooled.unflatten(1, (self.num_patterns + 1, -1))
        parts, whole = features[:, :-1], features[:, -1]

        def classify(mixed: Tensor) -> Tensor:
            wholes = whole.repeat(len(mixed) // len(whole), 1)
            return self.classify_fixed(torch.cat([mixed.flatten(1), wholes], dim=1))

        return self.part_mix(parts, info.label, info.modality, classify)

    def classify_fixed(self, pooled: Tensor) -> Tensor:
        """Classify rows by the running statistics of the BNNeck, which they do not move.

        Args:
            pooled: shape ``(M, D * (P + 1))``.

        Returns:
            Logits of shape ``(M, C)``.
        """
        neck = self.bnneck
        feature = functional.batch_norm(
            pooled, neck.running_mean, neck.running_var, neck.weight, neck.bias, eps=neck.eps)
        return self.classifier(feature)
