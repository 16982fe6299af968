"""Batch-hard triplet loss."""

import torch
from torch import Tensor, nn

from mmvireid.registry import MODELS

from ..utils import at_least_float32, pairwise_euclidean, without_autocast


@MODELS.register_module()
class TripletLoss(nn.Module):
    """Hold each image nearer to its farthest match than to its nearest other.

    ``mean_i max(0, max_positive d(i, p) - min_negative d(i, n) + margin)`` with
    Euclidean distances inside the batch (Hermans et al., "In Defense of the Triplet
    Loss for Person Re-Identification", equation 5). An anchor without any negative
    adds nothing.

    Args:
        margin: wanted gap between the two distances.
        loss_weight: factor of the loss.

    Examples:
        >>> import torch
        >>> from mmvireid.models import TripletLoss
        >>> embeddings = torch.tensor([[0.0], [1.0], [3.0], [4.0]])
        >>> ids = torch.tensor([7, 7, 9, 9])
        >>> TripletLoss(margin=2.5)(embeddings, ids)  # hinges 0.5 - 0, 1.5, 1.5 and 0.5 - 0
        tensor(1.)
    """

    def __init__(self, margin: float = 0.3, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.margin = margin
        self.loss_weight = loss_weight

    def forward(self, embeddings: Tensor, ids: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: shape ``(N, D)``.
            ids: identities of shape ``(N,)``.

        Returns:
            Scalar.
        """
        with without_autocast(embeddings):
            embeddings = at_least_float32(embeddings)
            distance = pairwise_euclidean(embeddings, embeddings)
            same = ids[:, None] == ids[None, :]
            # The farthest match may be the image itself, at distance zero, so each row has one.
            positive = distance.masked_fill(~same, -torch.inf).amax(1)
            # Without any other identity this is infinite, and the hinge below is zero.
            negative = distance.masked_fill(same, torch.inf).amin(1)
            return self.loss_weight * (positive - negative + self.margin).relu().mean()
