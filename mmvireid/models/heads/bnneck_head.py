"""The head of AGW and CAJ."""

from torch import Tensor
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo

from ..necks import BNNeck
from ..utils import at_least_float32, metric_loss_of_batch
from .identity_head import IdentityHead, accuracy, identity_classifier


@MODELS.register_module()
class BNNeckHead(IdentityHead):
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

    Examples:
        >>> import torch
        >>> from mmvireid.models import BNNeckHead
        >>> from mmvireid.structures import BatchInfo
        >>> head = BNNeckHead(num_classes=10, in_channels=8, metric_loss=dict(type='TripletLoss'))
        >>> info = BatchInfo(modality=torch.tensor([0, 0, 1, 1]), label=torch.tensor([3, 7, 3, 7]))
        >>> sorted(head.loss(torch.rand(4, 8), info))
        ['accuracy', 'loss_ce', 'loss_metric']
        >>> head.eval().predict(torch.rand(1, 8))['base'].shape
        torch.Size([1, 8])
    """

    #: Names of parts in checkpoints of earlier versions -> those of today.
    renamed_parts = {'neck': 'bnneck'}

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 metric_loss: dict | None = None,
                 label_smoothing: float = 0.0,
                 init_cfg: dict | None = None) -> None:
        super().__init__(num_classes, init_cfg)
        self.bnneck = BNNeck(in_channels)
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
        feature = self.bnneck(pooled)
        return feature, self.classifier(feature)

    def loss(self, pooled: Tensor, info: BatchInfo) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            pooled: shape ``(N, D)``.
            info: of the N rows, with labels 0 .. C-1.

        Returns:
            ``loss_ce``, ``loss_metric`` if there is a metric loss, and ``accuracy`` in
            percent for the log.
        """
        _, logits = self(pooled)
        return self.loss_by_feat(pooled, logits, info)

    def loss_by_feat(self, pooled: Tensor, logits: Tensor, info: BatchInfo) -> dict[str, Tensor]:
        """Compute the losses from what :meth:`forward` gives.

        Args:
            pooled: shape ``(N, D)``.
            logits: shape ``(N, C)``.
            info: of the N rows.

        Returns:
            As :meth:`loss`.
        """
        losses = {
            'loss_ce': functional.cross_entropy(
                at_least_float32(logits), info.label, label_smoothing=self.label_smoothing),
            'accuracy': accuracy(logits, info.label),
        }
        if self.metric_loss is not None:
            losses['loss_metric'] = metric_loss_of_batch(self.metric_loss, pooled, info)
        return losses

    def image_losses(self, pooled: Tensor, info: BatchInfo) -> Tensor:
        """Compute the cross-entropy of each row, which says how well its label is learnt.

        Args:
            pooled: shape ``(N, D)``.
            info: of the N rows, with labels 0 .. C-1.

        Returns:
            Shape ``(N,)``.
        """
        _, logits = self(pooled)
        return functional.cross_entropy(at_least_float32(logits), info.label, reduction='none')

    def predict(self, pooled: Tensor) -> dict[str, Tensor]:
        """Compute the descriptor of each image.

        Args:
            pooled: shape ``(N, D)``.

        Returns:
            ``base``, L2-normalised rows of shape ``(N, D)``.
        """
        return {'base': functional.normalize(at_least_float32(self.bnneck(pooled)))}
