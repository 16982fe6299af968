"""The triplet losses of AGW and CAJ."""

import logging

import torch
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS

from ..utils import at_least_float32, pairwise_euclidean, without_autocast

#: Largest exponent that the squared form lets through.
MAX_EXPONENT = 88.0


@MODELS.register_module()
class WeightedRegularizedTripletLoss(nn.Module):
    """Compare weighted mean distances to positives and negatives, without a margin.

    For each anchor all positives are averaged with weights that grow with the
    distance, all negatives with weights that fall with it; p and n are the two
    means. The weights carry gradient.

    * ``squared=False``: ``softplus(p - n)`` (Ye et al., "Deep Learning for Person
      Re-identification: A Survey and Outlook", equation 8).
    * ``squared=True``: ``softplus(-y * min((p - n) ** 2, 88))`` with ``y = 1`` where
      ``n >= p``, else -1, the enhanced squared difference of CAJ (Ye et al., "Channel
      Augmented Joint Learning for Visible-Infrared Recognition", section 3.3).

    The squared form dies: once ``|p - n|`` exceeds ``sqrt(88) = 9.38`` the minimum is
    constant and the anchor has no gradient. A run whose loss stands at 88 learns
    nothing from it. :attr:`dead_fraction` tells the share of such anchors in the last
    batch; when most anchors are dead the log of the run gets one warning.

    Args:
        squared: use CAJ's squared difference.
        loss_weight: factor of the loss.
        check_interval: calls of the squared form between two looks at
            :attr:`dead_fraction`, which makes a GPU wait. The first call looks.

    Examples:
        >>> import torch
        >>> from mmvireid.models import WeightedRegularizedTripletLoss
        >>> embeddings = torch.tensor([[0.0], [0.0], [3.0], [3.0]])
        >>> loss = WeightedRegularizedTripletLoss()(embeddings, torch.tensor([7, 7, 9, 9]))
        >>> round(loss.item(), 3)  # log(1 + exp(0 - 3))
        0.049
    """

    def __init__(self,
                 squared: bool = False,
                 loss_weight: float = 1.0,
                 check_interval: int = 50) -> None:
        super().__init__()
        self.squared = squared
        self.loss_weight = loss_weight
        self.check_interval = check_interval
        #: Share of anchors without gradient in the last batch, a 0-d tensor; None
        #: before the first batch and in the plain form, in which none dies.
        self.dead_fraction: Tensor | None = None
        self._calls = 0
        self._warned = False

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
            # The hardest pairs weigh most: far positives, near negatives.
            positive = _weighted_mean(distance, distance, same)
            negative = _weighted_mean(distance, -distance, ~same)
            if not self.squared:
                return self.loss_weight * functional.softplus(positive - negative).mean()
            square = (positive - negative).square()
            self._watch_dead_anchors(square.detach())
            # A gap in the wrong direction has to grow the loss, which the square alone hides.
            sign = torch.where(positive > negative, -1.0, 1.0).to(square)
            exponent = sign * square.clamp(max=MAX_EXPONENT)
            return self.loss_weight * functional.softplus(-exponent).mean()

    def _watch_dead_anchors(self, square: Tensor) -> None:
        """Count the anchors without gradient, and warn once if they are most."""
        self.dead_fraction = (square > MAX_EXPONENT).to(square.dtype).mean()
        self._calls += 1
        if self._warned or (self._calls - 1) % self.check_interval:
            return
        if self.dead_fraction > 0.5:
            self._warned = True
            if not is_main_process():
                return
            print_log(
                f'{self.dead_fraction:.0%} of the anchors have a gap between positives and '
                f'negatives above {MAX_EXPONENT**0.5:.2f}, where the squared triplet loss has no '
                'gradient: lower the learning rate or use squared=False',
                logger='current',
                level=logging.WARNING)


def _weighted_mean(distance: Tensor, score: Tensor, mask: Tensor) -> Tensor:
    """Average the masked distances of each row with weights ``exp(score)``.

    The released code subtracts the row's maximum, in which left-out entries take
    part as zeros, and adds 1e-6 to the sum of weights. For negatives the maximum is
    therefore zero and far negatives lose their weight against the 1e-6; reported
    numbers rest on this, so it is kept.
    """
    # No exponent above zero can overflow; entries that are left out get weight exactly zero.
    shift = (score * mask).amax(1, keepdim=True)
    weight = (score - shift).masked_fill(~mask, -torch.inf).exp()
    return (weight * distance).sum(1) / (weight.sum(1) + 1e-6)
