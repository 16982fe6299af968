"""Cross-entropy of images whose labels are not all to be trusted."""

from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS

from ..utils import at_least_float32


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Average the cross-entropy of each row times its weight.

    The divisor is the number of rows, not the sum of the weights: a batch of doubtful images
    has a small loss.

    Args:
        logits: shape ``(N, C)``.
        labels: shape ``(N,)``.
        weights: shape ``(N,)``.

    Returns:
        Scalar.

    Examples:
        >>> import torch
        >>> from mmvireid.models import weighted_cross_entropy
        >>> logits = torch.zeros(2, 4)  # log(4) = 1.3863 each
        >>> weighted_cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([1., 0.]))
        tensor(0.6931)
    """
    losses = functional.cross_entropy(at_least_float32(logits), labels, reduction='none')
    return (weights.to(losses) * losses).mean()


@MODELS.register_module()
class SoftIdentificationLoss(nn.Module):
    """Learn the identity of an image as far as its label is to be trusted.

    Yang et al., "Learning with Twin Noisy Labels for Visible-Infrared Person
    Re-Identification", CVPR 2022; :func:`weighted_cross_entropy` with the probability that the
    label is right as weight.

    Args:
        loss_weight: factor of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, ids: Tensor, confidence: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            logits: shape ``(N, C)``.
            ids: labels, some of which may be wrong, shape ``(N,)``.
            confidence: probability that each is right, shape ``(N,)``.

        Returns:
            Scalar.
        """
        return self.loss_weight * weighted_cross_entropy(logits, ids, confidence)
