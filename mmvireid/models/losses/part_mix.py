"""Contrastive learning with mixtures of the parts of people (unofficial PartMix)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError

from ..utils import at_least_float32, unit_rows, weighted_mean, without_autocast


@MODELS.register_module()
class PartMixLoss(nn.Module):
    """Contrast images with mixtures of their parts and those of others.

    **Unofficial, not reproduced.** The idea is that of PartMix (Kim et al., CVPR 2023, arXiv
    2304.01537): parts of two images of one person, mixed, are a further image of that
    person; parts of two people are an image of nobody; and mixtures of which the classifier
    says otherwise are left out. No code exists, and the paper's equations and constants
    could not be read, so all of what follows is our design.

    Each image (anchor) is mixed ``num_mixes`` times with another image of its identity, a
    positive, and as often with one of another identity, a negative; the partner is of the
    same modality or of the other with equal chances, or of whichever has one. A mixture takes
    each part from the partner with probability ``mix_rate``, at least one from each of the
    two images. Of all positives of a batch the share ``keep_rate`` with the lowest entropy
    of the classifier is kept, and of all negatives that with the highest.

    With z a mixture or an image, its parts one behind the other and of unit length, anchor i
    has the loss ``-mean_q log(e(q) / (e(q) + sum_u e(u)))``, ``e(x) = exp(z_i z_x /
    temperature)``: q are its positives, u the negatives that contain parts of it, whether as
    the anchor or as the partner, and all images of other identities. Anchors without a
    positive drop out; without another identity the loss is zero.

    Args:
        num_mixes: positives of each anchor, and negatives.
        mix_rate: probability that a part comes from the partner.
        keep_rate: share of the positives of a batch that are kept, and of the negatives.
        temperature: of the contrast.
        loss_weight: factor of the loss.

    Raises:
        ConfigError: if a rate or the temperature is out of its range.

    Examples:
        >>> import torch
        >>> from mmvireid.models import PartMixLoss
        >>> parts = torch.rand(4, 3, 8)  # of four images
        >>> ids, modality = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
        >>> classifier = torch.nn.Linear(8, 2)
        >>> loss = PartMixLoss()(parts, ids, modality, lambda mixed: classifier(mixed.mean(1)))
        >>> loss.shape
        torch.Size([])
    """

    def __init__(self,
                 num_mixes: int = 4,
                 mix_rate: float = 0.5,
                 keep_rate: float = 0.5,
                 temperature: float = 0.07,
                 loss_weight: float = 1.0) -> None:
        super().__init__()
        if not (num_mixes >= 1 and 0 < mix_rate < 1 and 0 < keep_rate <= 1 and temperature > 0):
            raise ConfigError(
                'num_mixes must be at least 1, mix_rate between 0 and 1, keep_rate above 0 and at '
                f'most 1, temperature above 0; got {num_mixes}, {mix_rate}, {keep_rate} and '
                f'{temperature}')
        self.num_mixes = num_mixes
        self.mix_rate = mix_rate
        self.keep_rate = keep_rate
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(self,
                parts: Tensor,
                ids: Tensor,
                modality: Tensor,
                classify: Callable[[Tensor], Tensor],
                generator: torch.Generator | None = None) -> Tensor:
        """Compute the loss of a batch.

        Args:
            parts: shape ``(N, P, D)``, P at least 2.
            ids: identities of shape ``(N,)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared.
            classify: from the parts of mixtures, shape ``(num_mixes * N, P, D)``, one of
                every anchor in their order, then another of every anchor and so on, to
                logits ``(num_mixes * N, C)``; called without gradient.
            generator: of all random choices, on the device of the parts; None takes
                PyTorch's own, which has the same state on all ranks.

        Returns:
            Scalar.

        Raises:
            ConfigError: if there is one part only.
        """
        num_images, num_parts, _ = parts.shape
        if num_parts < 2:
            raise ConfigError('mixtures need at least 2 parts of each image, got '
                              f'{num_parts}: raise num_patterns of the neck')
        with without_autocast(parts):
            parts = at_least_float32(parts)
            rows = unit_rows(parts.flatten(1))
            same_id, same_modality = ids[:, None] == ids, modality[:, None] == modality
            oneself = torch.eye(num_images, dtype=torch.bool, device=parts.device)
            positives, _, kept_positives = self._mixtures(
                parts, same_id & ~oneself, same_modality, classify, True, generator)
            negatives, partner, kept_negatives = self._mixtures(
                parts, ~same_id, same_modality, classify, False, generator)

            anchors = torch.arange(num_images, device=parts.device)
            own = kept_negatives & ((anchors.repeat(self.num_mixes) == anchors[:, None])
                                    | (partner == anchors[:, None]))
            # The smallest number instead of minus infinity: an anchor without negatives then
            # has no loss and no gradient, and not one that is no number.
            nothing = torch.finfo(rows.dtype).min
            against = torch.cat([
                (rows @ negatives.T / self.temperature).masked_fill(~own, nothing),
                (rows @ rows.T / self.temperature).masked_fill(same_id, nothing),
            ], dim=1).logsumexp(1)
            similarity = (positives.unflatten(0, (-1, num_images)) * rows).sum(2)
            # -log(e^s / (e^s + e^a)) = log(1 + e^(a - s))
            loss = functional.softplus(against - similarity / self.temperature)
            kept = kept_positives.unflatten(0, (-1, num_images))
            number = kept.sum(0)
            of_anchor = (loss * kept).sum(0) / number.clamp(min=1)
            return self.loss_weight * weighted_mean(of_anchor, number > 0)

    def _mixtures(self, parts: Tensor, candidates: Tensor, same_modality: Tensor,
                  classify: Callable[[Tensor], Tensor], lowest: bool,
                  generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        """Mix every anchor several times; give unit rows, their partners, and which to keep."""
        number = self.num_mixes * len(parts)
        partner = draw_partners(candidates, same_modality, self.num_mixes, generator)
        mask = draw_masks(number, parts.shape[1], self.mix_rate, parts.device, generator)
        mixed = torch.cat([
            mix_parts(parts, *chosen)
            for chosen in zip(partner.chunk(self.num_mixes), mask.chunk(self.num_mixes))
        ])
        with torch.no_grad():
            log_p = at_least_float32(classify(mixed)).log_softmax(1)
        kept = reliable(-(log_p.exp() * log_p).sum(1), self.keep_rate, lowest,
                        exists=candidates.any(1).repeat(self.num_mixes))
        return unit_rows(mixed.flatten(1)), partner, kept

    def extra_repr(self) -> str:
        """Show the constants."""
        return (f'num_mixes={self.num_mixes}, mix_rate={self.mix_rate}, '
                f'keep_rate={self.keep_rate}, temperature={self.temperature}')


def mix_parts(parts: Tensor, partner: Tensor, mask: Tensor) -> Tensor:
    """Replace some parts of each image by the same parts of its partner.

    Args:
        parts: shape ``(N, P, D)``.
        partner: shape ``(N,)``, a row for each row.
        mask: shape ``(N, P)`` bool, True where a part comes from the partner.

    Returns:
        Shape ``(N, P, D)``, with gradient to both images.

    Examples:
        >>> import torch
        >>> from mmvireid.models import mix_parts
        >>> parts = torch.tensor([[[1.], [2.]], [[3.], [4.]]])
        >>> mask = torch.tensor([[False, True], [False, False]])
        >>> mix_parts(parts, torch.tensor([1, 0]), mask).squeeze(2)
        tensor([[1., 4.],
                [3., 4.]])
    """
    return torch.where(mask[..., None], parts[partner], parts)


def reliable(entropy: Tensor, keep_rate: float, lowest: bool,
             exists: Tensor | None = None) -> Tensor:
    """Choose the mixtures whose classification says what it should.

    Args:
        entropy: of the class probabilities, shape ``(M,)``.
        keep_rate: share that is kept, rounded up.
        lowest: keep those with the lowest entropy, else those with the highest. Of equal
            ones the first is kept.
        exists: shape ``(M,)`` bool, False for rows that stand for no mixture; None for none.

    Returns:
        Shape ``(M,)`` bool.

    Examples:
        >>> import torch
        >>> from mmvireid.models import reliable
        >>> reliable(torch.tensor([0.3, 0.1, 0.2]), keep_rate=0.5, lowest=True)
        tensor([False,  True,  True])
    """
    if exists is None:
        exists = torch.ones_like(entropy, dtype=torch.bool)
    first = (entropy if lowest else -entropy).masked_fill(~exists, math.inf)
    place = first.argsort(stable=True).argsort()
    # Double precision, and not a whole one more for 0.1 * 30 = 3.0000000000000004.
    number = (keep_rate * exists.sum().double() - 1e-9).ceil()
    return (place < number) & exists


def draw_partners(candidates: Tensor, same_modality: Tensor, num_draws: int,
                  generator: torch.Generator | None = None) -> Tensor:
    """Draw whom each image is mixed with.

    The modality is drawn first, that of the image or the other one, then one of the
    candidates that have it; one of all candidates if none has.

    Args:
        candidates: shape ``(N, N)`` bool, row i says who may be drawn for image i.
        same_modality: shape ``(N, N)`` bool.
        num_draws: partners of each image.
        generator: of the random choices; None takes PyTorch's own.

    Returns:
        Rows of shape ``(num_draws * N,)``, one for every image, then another for every
        image and so on; of no meaning for an image without candidates.
    """
    device, number = candidates.device, num_draws * len(candidates)
    candidates, same_modality = (
        pairs.repeat(num_draws, 1) for pairs in (candidates, same_modality))
    alike = torch.rand(number, 1, generator=generator, device=device) < 0.5
    wanted = candidates & (same_modality == alike)
    wanted = torch.where(wanted.any(1, keepdim=True), wanted, candidates)
    lots = torch.rand(candidates.shape, generator=generator, device=device)
    return lots.masked_fill(~wanted, -1).argmax(1)


def draw_masks(number: int, num_parts: int, mix_rate: float, device: torch.device | str,
               generator: torch.Generator | None = None) -> Tensor:
    """Draw which parts come from the partner: some, and not all.

    Each comes from there with the same probability, independent of the others, but masks
    that are all False or all True are drawn again. Here it is done in one draw: first how
    many parts it is, then which, all being equally probable.

    Args:
        number: M, of masks.
        num_parts: P, at least 2.
        mix_rate: the probability.
        device: where they are needed.
        generator: of the random choices; None takes PyTorch's own.

    Returns:
        Shape ``(M, P)`` bool.
    """
    counts = range(1, num_parts)
    chances = torch.tensor(
        [math.comb(num_parts, k) * mix_rate**k * (1 - mix_rate)**(num_parts - k) for k in counts],
        device=device)
    size = 1 + torch.multinomial(chances, number, replacement=True, generator=generator)
    lots = torch.rand(number, num_parts, generator=generator, device=device)
    return lots.argsort(1).argsort(1) < size[:, None]
