"""The head of MPANet."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo, Modality

from ..utils import at_least_float32, weighted_mean
from .bnneck_head import BNNeckHead

#: The loss of the paper on pooled features.
METRIC_LOSS = {'type': 'CenterClusterLoss'}


@MODELS.register_module()
class MutualMeanHead(BNNeckHead):
    """Let the classifier of each modality agree with the mean one of the other modality.

    Three classifiers judge the feature after the BNNeck: one judges all images, one visible
    images alone, one infrared images alone. Each of the last two has a slow copy, its mean
    over the steps of training, which learns nothing itself: before each step
    ``mean <- (1 - r) * mean + r * weight``. Of each image p are the probabilities by the
    classifier of its own modality, q those by the mean classifier of the other one, and
    ``KL(p ‖ q)`` is a loss whose gradient flows through p (Wu et al., "Discover
    Cross-Modality Nuances for Visible-Infrared Person Re-Identification", CVPR 2021).

    The paper's configuration gives the two classifiers the weight 0.5, its code adds both
    losses twice: 1.0.

    Where there is one modality in a batch, what needs the other one is zero. A weight of
    zero leaves a loss out; without any that looks at the classifiers of the modalities
    these are frozen, as distributed training asks of parameters without gradient.

    Args:
        num_classes: C, identities of the training set.
        in_channels: D of the pooled features.
        metric_loss: config of a loss on ``(pooled, ids)`` or ``(pooled, ids, modality)``;
            None for none.
        sid_weight: weight of the cross-entropy of each modality's own classifier.
        kl_weight: weight of the divergence.
        update_rate: r, the share of the present weights in a mean of the next step.
        full_rate_epochs: until which epoch, counted from 1, r stays; in epoch e it is
            ``update_rate * min(1, full_rate_epochs / (e + 1))``.
        init_cfg: MMEngine's initialisation config.

    Examples:
        >>> import torch
        >>> from mmvireid.models import MutualMeanHead
        >>> from mmvireid.structures import BatchInfo
        >>> head = MutualMeanHead(num_classes=10, in_channels=8)
        >>> info = BatchInfo(modality=torch.tensor([0, 0, 1, 1]), label=torch.tensor([3, 7, 3, 7]))
        >>> sorted(head.loss(torch.rand(4, 8), info))  # doctest: +NORMALIZE_WHITESPACE
        ['accuracy', 'loss_ce', 'loss_ce_infrared', 'loss_ce_visible', 'loss_kl', 'loss_metric']
    """

    training_only = ('classifier', 'visible_classifier', 'infrared_classifier', 'visible_mean',
                     'infrared_mean')

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 metric_loss: dict | None = METRIC_LOSS,
                 sid_weight: float = 1.0,
                 kl_weight: float = 2.5,
                 update_rate: float = 0.2,
                 full_rate_epochs: int = 100,
                 init_cfg: dict | None = None) -> None:
        super().__init__(num_classes, in_channels, metric_loss, init_cfg=init_cfg)
        # All with PyTorch's own start.
        self.classifier, self.visible_classifier, self.infrared_classifier = (
            nn.Linear(in_channels, num_classes, bias=False) for _ in range(3))
        self.sid_weight = sid_weight
        self.kl_weight = kl_weight
        self.update_rate = update_rate
        self.full_rate_epochs = full_rate_epochs
        for classifier, name in self._own_and_mean():
            self.register_buffer(name, torch.empty_like(classifier.weight))
            if not (sid_weight or kl_weight):
                classifier.requires_grad_(False)
        self._start()
        self.epoch = 0
        self._weights_moved = True

    def init_weights(self) -> None:
        """Initialise; the means start as their classifiers, the BNNeck with weight one."""
        super().init_weights()
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        nn.init.ones_(self.bnneck.weight)
        for classifier, name in self._own_and_mean():
            getattr(self, name).copy_(classifier.weight)

    def _own_and_mean(self) -> tuple[tuple[nn.Linear, str], ...]:
        """Pair the classifier of each modality with the name of its mean."""
        return ((self.visible_classifier, 'visible_mean'),
                (self.infrared_classifier, 'infrared_mean'))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, on which the rate of the means depends.

        Args:
            epoch: number of the epoch, from 0.
        """
        self.epoch = epoch

    def weights_moved(self, moved: bool) -> None:
        """Say whether the optimiser has made an update since the last loss.

        If not, as while gradients are accumulated, the means wait. Nobody has to call it:
        then they move with each loss.

        Args:
            moved: whether it has.
        """
        self._weights_moved = moved

    @torch.no_grad()
    def _move_means(self) -> None:
        rate = self.update_rate * min(1.0, self.full_rate_epochs / (self.epoch + 2))
        for classifier, name in self._own_and_mean():
            getattr(self, name).lerp_(classifier.weight, rate)

    def modality_logits(self, feature: Tensor, modality: Tensor) -> tuple[Tensor, Tensor]:
        """Classify each image by the classifiers of the modalities.

        Args:
            feature: shape ``(N, D)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared.

        Returns:
            Logits by the classifier of the image's own modality and, without gradient, by
            the mean classifier of the other one, each of shape ``(N, C)``.
        """
        # Both judge all rows, and each row takes its own: to select rows first would make a
        # GPU wait for their number.
        visible = (modality == Modality.VISIBLE)[:, None]
        own = torch.where(
            visible, self.visible_classifier(feature), self.infrared_classifier(feature))
        with torch.no_grad():
            other = torch.where(visible, functional.linear(feature, self.infrared_mean),
                                functional.linear(feature, self.visible_mean))
        return own, other

    def loss(self, pooled: Tensor, info: BatchInfo) -> dict[str, Tensor]:
        """Move the means, and compute all losses of a batch.

        Args:
            pooled: shape ``(N, D)``.
            info: of the N rows, with labels 0 .. C-1.

        Returns:
            Weighted losses ``loss_ce``, ``loss_ce_visible``, ``loss_ce_infrared``,
            ``loss_kl`` and ``loss_metric``, all where there is a weight and a metric loss;
            ``accuracy`` of the classifier of all images in percent.
        """
        if self.training and self._weights_moved:
            self._move_means()
        feature, logits = self(pooled)
        return {**self.loss_by_feat(pooled, logits, info), **self.mutual_losses(feature, info)}

    def mutual_losses(self, feature: Tensor, info: BatchInfo) -> dict[str, Tensor]:
        """Compute the losses of the classifiers of the modalities.

        Args:
            feature: after the BNNeck, shape ``(N, D)``.
            info: of the N rows.

        Returns:
            Weighted losses ``loss_ce_visible``, ``loss_ce_infrared`` and ``loss_kl``, where
            their weights are not zero.
        """
        losses = {}
        if self.sid_weight or self.kl_weight:
            own, other = (at_least_float32(scores).log_softmax(1)
                          for scores in self.modality_logits(feature, info.modality))
        if self.sid_weight:
            of_row = functional.nll_loss(own, info.label, reduction='none')
            for modality in Modality:
                losses[f'loss_ce_{modality.name.lower()}'] = (
                    self.sid_weight * weighted_mean(of_row, info.modality == modality))
        if self.kl_weight:
            divergence = (own.exp() * (own - other)).sum(1).mean()
            both = info.modality.amax() > info.modality.amin()
            losses['loss_kl'] = self.kl_weight * both * divergence
        return losses
