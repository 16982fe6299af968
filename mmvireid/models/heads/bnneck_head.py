"""The head of AGW and CAJ."""

from typing import Optional

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS

from ..necks import BNNeck
from ..utils import at_least_float32, metric_loss_of_batch


def identity_classifier(in_channels: int, num_classes: int) -> nn.Linear:
    """Build a bias-free classifier, initialised with N(0, 0.001).

    Args:
        in_channels: D of the features.
        num_classes: C identities.

    Returns:
        Layer from shape ``(N, D)`` to ``(N, C)``.
    """
    classifier = nn.Linear(in_channels, num_classes, bias=False)
    nn.init.normal_(classifier.weight, std=0.001)
    return classifier


@MODELS.register_module()
class BNNeckHead(BaseModule):
    """Metric loss before the batch normalisation, classification after it.

    The descriptor is the feature after it, L2-normalised (Ye et al., "Deep Learning
    for Person Re-identification: A Survey and Outlook", section 4).

    Args:
        num_classes: C, identities of the training set.
        in_channels: D of the pooled features.
        metric_loss: config of a loss on ``(pooled, ids)`` or ``(pooled, ids, modality)``,
            for example ``dict(type='TripletLoss')``; None trains the classifier alone.
        label_smoothing: of the cross-entropy.
        init_cfg: MMEngine's initialisation config.
    """

    #: Whether a batch must hold visible and infrared images.
    requires_both_modalities = False

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 metric_loss: Optional[dict] = None,
                 label_smoothing: float = 0.0,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.neck = BNNeck(in_channels)
        self.classifier = identity_classifier(in_channels, num_classes)
        self.metric_loss = MODELS.build(metric_loss) if metric_loss else None
        self.label_smoothing = label_smoothing

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Compute feature and logits.

        Args:
            pooled: shape ``(N, D)``.

        Returns:
            Normalised features of shape ``(N, D)`` and logits of shape ``(N, C)``.
        """
        feature = self.neck(pooled)
        return feature, self.classifier(feature)

    def loss(self, pooled: Tensor, ids: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            pooled: shape ``(N, D)``.
            ids: labels 0 .. C-1 of shape ``(N,)``.
            modality: shape ``(N,)``.

        Returns:
            ``loss_ce``, ``loss_metric`` if there is a metric loss, and ``accuracy`` in
            percent for the log.
        """
        _, logits = self(pooled)
        return self.loss_by_feat(pooled, logits, ids, modality)

    def loss_by_feat(self, pooled: Tensor, logits: Tensor, ids: Tensor,
                     modality: Tensor) -> dict[str, Tensor]:
        """Compute the losses from what :meth:`forward` gives.

        Args:
            pooled: shape ``(N, D)``.
            logits: shape ``(N, C)``.
            ids: shape ``(N,)``.
            modality: shape ``(N,)``.

        Returns:
            As :meth:`loss`.
        """
        losses = {
            'loss_ce': functional.cross_entropy(
                at_least_float32(logits), ids, label_smoothing=self.label_smoothing),
            'accuracy': accuracy(logits, ids),
        }
        if self.metric_loss is not None:
            losses['loss_metric'] = metric_loss_of_batch(
                self.metric_loss, pooled, ids, modality)
        return losses

    def predict(self, pooled: Tensor) -> dict[str, Tensor]:
        """Compute the descriptor of each image.

        Args:
            pooled: shape ``(N, D)``.

        Returns:
            ``base``, L2-normalised rows of shape ``(N, D)``.
        """
        return {'base': functional.normalize(at_least_float32(self.neck(pooled)))}


def accuracy(logits: Tensor, ids: Tensor) -> Tensor:
    """Compute the share of right classes.

    Args:
        logits: shape ``(N, C)``.
        ids: shape ``(N,)``.

    Returns:
        Scalar, in percent.
    """
    return (logits.detach().argmax(1) == ids).float().mean() * 100
