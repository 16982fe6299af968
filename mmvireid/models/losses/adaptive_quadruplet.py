"""A triplet loss that turns around where its pairs are probably wrong."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmvireid.registry import MODELS

from ..utils import at_least_float32, pairwise_euclidean, without_autocast


class Quadruplets(NamedTuple):
    """Which rows an anchor is compared with; -1 where there is none.

    Attributes:
        branch: shape ``(N,)``, the row of the table in :class:`AdaptiveQuadrupletLoss`, 0 .. 5.
        positive: shape ``(N,)``, a random row of the anchor's label.
        negative: shape ``(N,)``, the nearest row of another label.
        positive_2: shape ``(N,)``, a second positive, in branches 3 and 4.
        negative_2: shape ``(N,)``, the second negative, in branch 2.
    """

    branch: Tensor
    positive: Tensor
    negative: Tensor
    positive_2: Tensor
    negative_2: Tensor


@MODELS.register_module()
class AdaptiveQuadrupletLoss(nn.Module):
    """Compare each trusted image with a positive and the nearest negative, as far as these are.

    From Yang et al., "Learning with Twin Noisy Labels for Visible-Infrared Person
    Re-Identification", CVPR 2022. A wrong label makes wrong pairs: a *positive* p that is
    somebody else, a *negative* n that is the same person. Both are known by their confidence w,
    the probability that the label is right, and for a doubtful negative by whether the network
    predicts the anchor's label for it. Rows with ``w >= threshold`` are the anchors i; the loss
    is the mean of

    ======  ===========  ===========  ============  ======================================
    branch  p confident  n confident  n predicted   hinge
                                      as y_i
    ======  ===========  ===========  ============  ======================================
    0       yes          yes                        relu(d(i,p) - d(i,n) + m)
    1       yes          no           no            the same
    2       yes          no           yes           relu((d(i,p) + d(i,n)) / 2 - d(i,n') + m)
    3       no           yes                        relu(d(i,p') - (d(i,p) + d(i,n)) / 2 + m)
    4       no           no           no            the same
    5       no           no           yes           relu(d(i,n) - d(i,p) + m)
    ======  ===========  ===========  ============  ======================================

    n' is the next harder negative that is confident, p' another random positive that is
    neither the anchor nor doubtful; both searches give up after a while and take what they
    have, p' even the anchor itself. Distances are Euclidean and all of them carry gradient,
    confidences and predictions do not.

    An anchor whose label no other row has, or all rows have, is left out. Without any anchor
    the loss is zero.

    Args:
        margin: m.
        threshold: confidence from which a label is trusted.
        max_positive_redraws: further draws of p' before the search gives up.
        max_negative_skips: doubtful negatives that the search for n' passes over.
        loss_weight: factor of the loss.

    Examples:
        >>> import torch
        >>> from mmvireid.models import AdaptiveQuadrupletLoss
        >>> embeddings = torch.tensor([[0.], [1.], [3.], [4.]])
        >>> ids, logits = torch.tensor([0, 0, 1, 1]), torch.eye(2)[[0, 0, 1, 1]]
        >>> loss = AdaptiveQuadrupletLoss(margin=1.5)
        >>> loss(embeddings, logits, ids, torch.ones(4))  # hinges 0, 0.5, 0.5 and 0
        tensor(0.2500)
    """

    def __init__(self,
                 margin: float = 0.3,
                 threshold: float = 0.5,
                 max_positive_redraws: int = 5,
                 max_negative_skips: int = 10,
                 loss_weight: float = 1.0) -> None:
        super().__init__()
        self.margin = margin
        self.threshold = threshold
        self.max_positive_redraws = max_positive_redraws
        self.max_negative_skips = max_negative_skips
        self.loss_weight = loss_weight
        #: Anchors of the last batch, and those with the positive no farther than the negative,
        #: also where the loss turns them around; 0-d tensors.
        self.num_anchors: Tensor | None = None
        self.num_right: Tensor | None = None

    def forward(self,
                embeddings: Tensor,
                logits: Tensor,
                ids: Tensor,
                confidence: Tensor,
                draws: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: shape ``(N, D)``.
            logits: shape ``(N, C)``, for what the network predicts.
            ids: labels, some of which may be wrong, shape ``(N,)``.
            confidence: probability that each is right, shape ``(N,)``.
            draws: p and p' of each row, two tensors of shape ``(N,)``, -1 where there is none;
                None draws them from PyTorch's generator of the CPU, which all ranks seed alike.

        Returns:
            Scalar.
        """
        with without_autocast(embeddings):
            embeddings = at_least_float32(embeddings)
            distance = pairwise_euclidean(embeddings, embeddings)
            chosen = self.choose(distance.detach(), logits.detach(), ids, confidence, draws)
            # Where a row is compared with nothing, -1 reads something, and the mask drops it.
            p, n, p2, n2 = (
                distance.gather(1, row[:, None].clamp(min=0))[:, 0] for row in chosen[1:])
            branch, middle = chosen.branch, (p + n) / 2
            second = (branch == 3) | (branch == 4)
            near = torch.where(branch == 2, middle, torch.where(second, p2, p))
            far = torch.where(branch == 2, n2, torch.where(second, middle, n))
            anchors = branch >= 0
            self.num_anchors = anchors.sum()
            self.num_right = (anchors & (near <= far)).sum()
            near, far = torch.where(branch == 5, n, near), torch.where(branch == 5, p, far)
            hinges = (near - far + self.margin).relu().masked_fill(~anchors, 0.0)
            return self.loss_weight * hinges.sum() / self.num_anchors.clamp(min=1)

    @torch.no_grad()
    def choose(self,
               distance: Tensor,
               logits: Tensor,
               ids: Tensor,
               confidence: Tensor,
               draws: tuple[Tensor, Tensor] | None = None) -> Quadruplets:
        """Find the rows that each anchor is compared with.

        Args:
            distance: shape ``(N, N)``.
            logits: as in :meth:`forward`.
            ids: as in :meth:`forward`.
            confidence: as in :meth:`forward`.
            draws: as in :meth:`forward`.

        Returns:
            Five tensors of shape ``(N,)``.
        """
        same = ids[:, None] == ids[None, :]
        itself = torch.eye(len(ids), dtype=torch.bool, device=ids.device)
        confident = confidence.to(distance.device) >= self.threshold
        anchor = confident & (same & ~itself).any(1) & (~same).any(1)
        positive, positive_2 = draws if draws is not None else (
            _uniform_draws(same & ~itself, 1)[:, 0], self._second_positives(same, confident))
        positive, positive_2 = positive.to(ids.device), positive_2.to(ids.device)

        # Negatives from the nearest; rows of the same label stand at the end of each line.
        order = distance.masked_fill(same, torch.inf).argsort(dim=1, stable=True)
        last = (~same).sum(1) - 1
        negative = order[:, 0]
        predicted_as_anchor = logits.argmax(1)[negative] == ids

        # Ranks 1, 2, ... are those after the nearest; the first confident one, or the last of
        # those that are looked at.
        looked_at = order[:, 1:2 + self.max_negative_skips]
        rank = torch.arange(1, 1 + looked_at.shape[1], device=ids.device)
        found = confident[looked_at] & (rank <= last[:, None])
        first = torch.where(
            found.any(1), found.int().argmax(1) + 1, last.clamp(max=looked_at.shape[1]))
        negative_2 = order.gather(1, first.clamp(min=0)[:, None])[:, 0]

        p, n, hard = confident[positive.clamp(min=0)], confident[negative], predicted_as_anchor
        branch = torch.where(
            p, torch.where(n, 0, torch.where(hard, 2, 1)),
            torch.where(n, 3, torch.where(hard, 5, 4)))

        def only(rows: Tensor, where: Tensor) -> Tensor:
            return torch.where(anchor & where, rows, -1)

        everywhere = torch.ones_like(anchor)
        return Quadruplets(
            only(branch, everywhere), only(positive, everywhere), only(negative, everywhere),
            only(positive_2, (branch == 3) | (branch == 4)), only(negative_2, branch == 2))

    def _second_positives(self, same: Tensor, confident: Tensor) -> Tensor:
        """Draw p' of each row: the first of several draws that will do, else the last."""
        drawn = _uniform_draws(same, 1 + self.max_positive_redraws)
        itself = torch.arange(len(same), device=same.device)[:, None]
        will_do = confident[drawn] & (drawn != itself)
        first = torch.where(will_do.any(1), will_do.int().argmax(1), self.max_positive_redraws)
        return drawn.gather(1, first[:, None])[:, 0]


def _uniform_draws(allowed: Tensor, number: int) -> Tensor:
    """Draw columns of each line of a mask, shape ``(N, number)``; -1 from an empty line."""
    counts = allowed.sum(1)
    # On the CPU: the same numbers on all ranks and on all devices.
    share = torch.rand(len(allowed), number).to(allowed.device)
    wanted = (share * counts[:, None]).long().clamp(max=(counts - 1).clamp(min=0)[:, None])
    # The k-th allowed column is the first whose running count is above k.
    columns = torch.searchsorted(allowed.long().cumsum(1), wanted, right=True)
    return torch.where(counts[:, None] > 0, columns, -1)
