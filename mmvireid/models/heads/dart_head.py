"""The head of DART."""

import torch
from torch import Tensor

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo
from mmvireid.utils.errors import UsageError

from .bnneck_head import BNNeckHead
from .identity_head import accuracy

_QUADRUPLET = dict(type='AdaptiveQuadrupletLoss')


@MODELS.register_module()
class DARTHead(BNNeckHead):
    """Learn identities from labels of which some are wrong.

    Yang et al., "Learning with Twin Noisy Labels for Visible-Infrared Person
    Re-Identification", CVPR 2022. Each row has a *confidence*, the probability that its label is
    right, from :class:`mmvireid.engine.CleanProbabilityHook`. It weights the cross-entropy, and
    decides which pairs the metric loss on the pooled features believes. Before there are
    confidences, in the warm-up, the head learns by plain cross-entropy alone.

    Args:
        num_classes: C, identities of the training set.
        in_channels: D of the pooled features.
        identification_loss: config of a loss on ``(logits, ids, confidence)``.
        metric_loss: config of a loss on ``(pooled, logits, ids, confidence, draws)``, by default
            an :class:`mmvireid.models.AdaptiveQuadrupletLoss`; None for none.
        init_cfg: MMEngine's initialisation config.

    Examples:
        >>> import torch
        >>> from mmvireid.models import DARTHead
        >>> from mmvireid.structures import BatchInfo
        >>> head = DARTHead(num_classes=10, in_channels=8)
        >>> info = BatchInfo(modality=torch.tensor([0, 0, 1, 1]), label=torch.tensor([3, 7, 3, 7]),
        ...                  index=torch.arange(4))
        >>> sorted(head.loss(torch.rand(4, 8), info))  # warm-up
        ['accuracy', 'loss_ce']
        >>> head.set_confidence(torch.tensor([[1.0, 1.0, 0.2, 0.9]]))
        >>> sorted(head.loss(torch.rand(4, 8), info))
        ['accuracy', 'anchors', 'loss_ce', 'loss_metric']
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 identification_loss: dict | None = None,
                 metric_loss: dict | None = _QUADRUPLET,
                 init_cfg: dict | None = None) -> None:
        super().__init__(num_classes, in_channels, metric_loss, init_cfg=init_cfg)
        self.identification_loss = MODELS.build(
            identification_loss or dict(type='SoftIdentificationLoss'))
        # No buffer: a function of weights, seed and epoch, which is made anew each epoch and
        # has no part in averaged weights.
        self.confidence: Tensor | None = None

    def set_confidence(self, confidence: Tensor | None) -> None:
        """Say which labels are to be trusted from now on.

        Args:
            confidence: shape ``(V, N)``, of each view of each image of the dataset; None goes
                back to the warm-up.
        """
        if confidence is not None:
            confidence = confidence.to(self.classifier.weight)
        self.confidence = confidence

    def loss(self,
             pooled: Tensor,
             info: BatchInfo,
             draws: tuple[Tensor, Tensor] | None = None) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            pooled: shape ``(N, D)``.
            info: of the N rows, with labels 0 .. C-1, their places in the dataset and views.
            draws: random rows of the metric loss, two tensors of shape ``(N,)``; None draws them.

        Returns:
            ``loss_ce``, and for the log ``accuracy`` in percent. With confidences also
            ``loss_metric``, if there is such a loss, and for the log the percentage of rows that
            are its ``anchors``.

        Raises:
            UsageError: if it is not known which images the rows are.
        """
        _, logits = self(pooled)
        weights = self._confidence_of(info)
        losses = {
            'loss_ce': self.identification_loss(logits, info.label, weights),
            'accuracy': accuracy(logits, info.label),
        }
        if self.metric_loss is not None and self.confidence is not None:
            losses['loss_metric'] = self.metric_loss(pooled, logits, info.label, weights, draws)
            losses['anchors'] = 100 * self.metric_loss.num_anchors / len(info)
        return losses

    def _confidence_of(self, info: BatchInfo) -> Tensor:
        """Look up each row, shape ``(N,)``; all 1 in the warm-up."""
        if self.confidence is None:
            return torch.ones_like(info.label, dtype=self.classifier.weight.dtype)
        if not info.index.is_cuda and len(info) and int(info.index.min()) < 0:
            raise UsageError(
                'the confidence of a label is looked up by the image, but the batch does not '
                'know its images: keep sample_idx among the meta_keys of PackReIDInputs.')
        return self.confidence[info.view, info.index]
