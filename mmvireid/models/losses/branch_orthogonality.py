"""The orthogonality of generated branches in DEEN."""

from torch import Tensor, nn

from mmvireid.registry import MODELS

from ..utils import at_least_float32, without_autocast


@MODELS.register_module()
class BranchOrthogonalityLoss(nn.Module):
    """Keep what the branches of an image generate apart from each other.

    The sum of the inner products of all pairs of generated embeddings of an image, over all
    images, divided by the number of rows ``N (1 + B)``. The embeddings are not normalised,
    and the original one takes no part, though the divisor counts it (DEEN, arXiv 2303.14481,
    as the released code computes it). Pooled activations are not negative, so neither is the
    loss.

    Args:
        loss_weight: factor of the loss.

    Examples:
        >>> import torch
        >>> from mmvireid.models import BranchOrthogonalityLoss
        >>> image = torch.tensor([[[9.0, 9.0], [1.0, 0.0], [2.0, 5.0]]])  # original, two branches
        >>> round(BranchOrthogonalityLoss()(image).item(), 3)  # 2 over three rows
        0.667
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, embeddings: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: shape ``(N, 1 + B, D)``, the original embedding of each image before
                its B generated ones.

        Returns:
            Scalar; zero with fewer than two generated branches.
        """
        with without_autocast(embeddings):
            generated = at_least_float32(embeddings)[:, 1:]
            # Entry (a, b) above the diagonal is the product of branches a and b of an image.
            products = (generated @ generated.mT).triu(diagonal=1)
            return self.loss_weight * products.sum() / embeddings.shape[:2].numel()
