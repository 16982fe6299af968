"""The centre-guided pair mining loss of DEEN."""

import torch
from torch import Tensor, nn

from mmvireid.registry import MODELS
from mmvireid.structures import Modality
from mmvireid.utils.errors import InputError

from ..utils import at_least_float32, pairwise_euclidean, without_autocast


@MODELS.register_module()
class CenterGuidedPairMiningLoss(nn.Module):
    """Move generated embeddings of a modality over to the other modality.

    A centre is the mean of one identity in one modality. With o_i the real centre of
    identity i in its own modality, c_i that in the other (opposite) modality, g_i the
    centre of what was generated from the images of o_i, and d the Euclidean distance, the
    loss of a modality is the mean over its identities of

    * ``max(0, d(c_i, g_i) - d(o_i, g_i) + margin)``, the second distance without gradient:
      a generated centre shall be nearer to the other modality than to its own;
    * half of ``max(0, d(c_i, g_i) - min_j d(g_i, g_j) + margin)`` over other identities j;
    * half of ``max(0, d(c_i, g_i) - min_j d(o_i, o_j) + margin)``: and nearer than different
      people are to each other, whether generated or real.

    The loss is the mean of both modalities (DEEN, arXiv 2303.14481, as the released code
    computes it).

    No set of distinct identities is formed, which would make a GPU wait: every image
    carries the centres of its identity, with a weight of one over the number of images
    that share them. Identities may have different numbers of images, in any order.

    Args:
        margin: wanted gap between distances.
        loss_weight: factor of the loss.

    Examples:
        >>> import torch
        >>> from mmvireid.models import CenterGuidedPairMiningLoss
        >>> ids, modality = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
        >>> real = torch.tensor([[0.0], [5.0], [1.0], [6.0]])
        >>> swapped = torch.tensor([[1.0], [6.0], [0.0], [5.0]])
        >>> loss = CenterGuidedPairMiningLoss(margin=0.2)
        >>> loss(real, swapped, ids, modality)  # each generated one lies where it should
        tensor(0.)
        >>> round(loss(real, real, ids, modality).item(), 3)  # 1 from its goal, 0 from its own
        1.2
    """

    def __init__(self, margin: float = 0.2, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.margin = margin
        self.loss_weight = loss_weight

    def forward(self, real: Tensor, generated: Tensor, ids: Tensor, modality: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            real: embeddings of the images, shape ``(N, D)``.
            generated: what a branch has made of the same images, shape ``(N, D)``.
            ids: identities of shape ``(N,)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared.

        Returns:
            Scalar. Images whose identity is missing in the other modality are left out,
            except as the other people of somebody.

        Raises:
            InputError: if a modality has fewer than two identities. On a GPU nobody waits
                for this check; a head makes it before, in ``check_batch``.
        """
        if not ids.is_cuda:
            check_identities(ids, modality)
        with without_autocast(real):
            real, generated = at_least_float32(real), at_least_float32(generated)
            same_id = ids[:, None] == ids[None, :]
            same_modality = modality[:, None] == modality[None, :]
            # Row i marks the images of i's identity in i's modality, or in the other one.
            own_group = (same_id & same_modality).to(real.dtype)
            opposite_group = (same_id & ~same_modality).to(real.dtype)
            size, opposite_size = own_group.sum(1), opposite_group.sum(1)
            own = own_group @ real / size[:, None]
            made = own_group @ generated / size[:, None]
            opposite = opposite_group @ real / opposite_size.clamp(min=1)[:, None]

            to_opposite = _distance(opposite, made)
            to_own = _distance(own, made).detach()
            others = same_modality & ~same_id
            first = (to_opposite - to_own + self.margin).relu()
            second = (to_opposite - _nearest(made, others) + self.margin).relu()
            third = (to_opposite - _nearest(own, others) + self.margin).relu()

            # Rows of an identity share one term; then the mean over identities of a modality.
            share = (opposite_size > 0) / size
            in_modality = same_modality.to(share.dtype) @ share
            weight = share / torch.where(in_modality > 0, in_modality, 1.0)
            per_row = first + (second + third) / 2
            return self.loss_weight * (weight * per_row).sum() / 2

    def extra_repr(self) -> str:
        """Show the margin."""
        return f'margin={self.margin}'


def check_identities(ids: Tensor, modality: Tensor) -> None:
    """Refuse a batch in which somebody has nobody to be told apart from.

    Args:
        ids: identities of shape ``(N,)``.
        modality: shape ``(N,)``, 0 visible, 1 infrared.

    Raises:
        InputError: if a modality has fewer than two identities.
    """
    for value in Modality:
        number = len(ids[modality == value].unique())
        if number < 2:
            raise InputError(
                'pair mining compares the centres of different people in each modality, but the '
                f'batch has {number or "no"} {value.name.lower()} '
                f'{"identity" if number == 1 else "identities"}: draw at least two people in a '
                'step, with visible and infrared images of each.')


def _distance(x: Tensor, y: Tensor) -> Tensor:
    """Compute the distance of each row from the same row of another set."""
    return (x - y).square().sum(1).clamp(min=1e-12).sqrt()


def _nearest(centres: Tensor, others: Tensor) -> Tensor:
    """Compute the distance to the nearest centre among those marked in each row."""
    return pairwise_euclidean(centres, centres).masked_fill(~others, torch.inf).amin(1)
