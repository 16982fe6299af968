"""The centre cluster loss of MPANet."""

import torch
from torch import Tensor, nn

from mmvireid.registry import MODELS

from ..utils import at_least_float32, pairwise_euclidean, weighted_mean, without_autocast


@MODELS.register_module()
class CenterClusterLoss(nn.Module):
    """Pull images to the centre of their identity, and push the centres apart.

    A centre is the mean of all images of an identity, visible and infrared. With x an
    image, c a centre and d the Euclidean distance, the loss is ``mean_i d(x_i, c_i)`` for
    the own centre plus the mean of ``max(0, margin - d(c, c'))`` over all ordered pairs of
    different identities. Gradient flows through images and centres (Wu et al., "Discover
    Cross-Modality Nuances for Visible-Infrared Person Re-Identification", CVPR 2021).

    The released code has NaN gradients for an identity with one image, which is its own
    centre; here its distance of zero has no gradient. Rows may come in any order.

    Args:
        margin: distance beyond which two centres no longer push each other.
        loss_weight: factor of the loss.

    Examples:
        >>> import torch
        >>> from mmvireid.models import CenterClusterLoss
        >>> center_cluster = CenterClusterLoss(margin=0.7)
        >>> embeddings, ids = torch.tensor([[0.], [0.2], [0.5], [0.7]]), torch.tensor([3, 3, 8, 8])
        >>> round(center_cluster(embeddings, ids).item(), 3)
        0.3
        >>> [round(part.item(), 3) for part in (center_cluster.pull, center_cluster.push)]
        [0.1, 0.2]
    """

    def __init__(self, margin: float = 0.7, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.margin = margin
        self.loss_weight = loss_weight
        #: The two parts of the last loss, without weight and gradient.
        self.pull: Tensor | None = None
        self.push: Tensor | None = None

    def forward(self, embeddings: Tensor, ids: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: shape ``(N, D)``.
            ids: identities of shape ``(N,)``.

        Returns:
            Scalar.
        """
        with without_autocast(embeddings):
            x = at_least_float32(embeddings)
            same = (ids[:, None] == ids[None, :]).to(x.dtype)
            share = 1 / same.sum(1)
            # Row i is the centre of image i's identity.
            centres = (same @ x) * share[:, None]
            # The norm of PyTorch has the gradient zero at zero.
            pull = torch.linalg.vector_norm(x - centres, dim=1).mean()
            # All images of an identity repeat its centre: each pair of identities counts once,
            # with the product of their shares as the weight of a pair of images.
            hinge = (self.margin - pairwise_euclidean(centres, centres)).relu()
            push = weighted_mean(hinge, (1 - same) * share[:, None] * share[None, :])
            self.pull, self.push = pull.detach(), push.detach()
            return self.loss_weight * (pull + push)

    def extra_repr(self) -> str:
        """Show the margin."""
        return f'margin={self.margin}'
