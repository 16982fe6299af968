"""The neighbour relation loss of RPNR."""

import torch
from torch import Tensor, nn

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError

from ..utils import at_least_float32, unit_rows, without_autocast


@MODELS.register_module()
class NeighborRelationLoss(nn.Module):
    """Pull near images together and push far ones apart, without labels.

    Of all pairs of N images, with the distance ``d`` and ``s`` = d divided by the mean
    distance of the row, the image's own distance 0 counted,

    ``1 / (N (N - 1)) * sum of [w s^2 + (1 - w) max(0, delta - s)^2]``,
    ``w = exp(-d^2 / sigma)``.

    The weight carries no gradient; the mean of the row does (RPNR, MM 2024, neighbour
    relation learning, as its released code computes it).

    The released code takes features after a BatchNorm as they are. Their squared distances
    are of the order of the number of dimensions, so ``w`` is zero in float32: nothing is
    pulled, and pairs nearer than the mean of their row are pushed apart. With
    ``normalize=True`` features are put on the unit sphere, where ``w`` is between
    ``exp(-4 / sigma)`` and 1 and both parts are alive.

    Args:
        sigma: squared distance at which the weight has fallen to 1/e.
        delta: relative distance up to which pairs are pushed.
        normalize: scale the features to unit length first.
        loss_weight: factor of the loss.

    Raises:
        ConfigError: if ``sigma`` is not positive.

    Examples:
        >>> import torch
        >>> from mmvireid.models import NeighborRelationLoss
        >>> features = torch.tensor([[0.0], [0.5], [2.0]])
        >>> near, far = NeighborRelationLoss(sigma=1e6), NeighborRelationLoss(sigma=1e-6)
        >>> round(near(features).item(), 3), round(far(features).item(), 3)  # pulls, pushes
        (2.723, 0.037)
    """

    def __init__(self,
                 sigma: float = 1.0,
                 delta: float = 1.0,
                 normalize: bool = False,
                 loss_weight: float = 1.0) -> None:
        super().__init__()
        if sigma <= 0:
            raise ConfigError(f'sigma must be positive, got {sigma}')
        self.sigma = sigma
        self.delta = delta
        self.normalize = normalize
        self.loss_weight = loss_weight

    def forward(self, features: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            features: shape ``(N, D)``, images of one modality.

        Returns:
            Scalar, 0 for fewer than two images.
        """
        num = len(features)
        if num < 2:
            return 0 * features.sum()
        with without_autocast(features):
            rows = at_least_float32(features)
            if self.normalize:
                rows = unit_rows(rows)
            # From differences, not from a matrix product, whose rounding is of the size of a
            # small distance. An image's distance from an equal one is 0, with gradient 0.
            distance = torch.cdist(rows, rows, compute_mode='donot_use_mm_for_euclid_dist')
            mean = distance.mean(1, keepdim=True)
            relative = distance / torch.where(mean > 0, mean, 1.0)
            weight = (-distance.detach().square() / self.sigma).exp()
            pairs = weight * relative.square() + (
                (1 - weight) * (self.delta - relative).relu().square())
            # On the diagonal the weight is 1 and the distance 0: nothing is to be left out.
            return self.loss_weight * pairs.sum() / (num * (num - 1))

    def extra_repr(self) -> str:
        """Show the two scales and what is compared."""
        return f'sigma={self.sigma}, delta={self.delta}, normalize={self.normalize}'
