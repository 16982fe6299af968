"""The hetero-centre cluster loss of CIFT."""

from torch import Tensor, nn

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError

from ..utils import at_least_float32, pairwise_euclidean, weighted_mean, without_autocast

#: Margins of the paper.
MARGINS = {'euclidean': 0.6, 'kl': 6.0}

#: Smallest argument of a logarithm of a probability.
MIN_PROBABILITY = 1e-9


@MODELS.register_module()
class HeteroCenterClusterLoss(nn.Module):
    """Pull images to their identity's centre in the other modality, push other centres away.

    A centre is the mean of one identity in one modality. With z an image and d a
    distance, the loss is ``mean_i d(z_i, own identity's centre in the OTHER modality)``
    plus the mean over all pairs of an image and a centre of another identity, in
    either modality, of ``max(0, margin - d)``. The own centre in the own modality is
    in neither part. Gradient flows through images and centres (CIFT, arXiv
    2208.00967, section 3.4).

    * ``'euclidean'``: on pooled features, margin 0.6.
    * ``'kl'``: on logits, margin 6.0. z are class probabilities, m the mean
      probabilities of a centre, ``d = KL(m ‖ z) + KL(z ‖ m)``, in each term the first
      argument without gradient. Arguments of logarithms are held above 1e-9.

    No set of distinct identities is formed, which would make a GPU wait: every image
    carries its centre, and pairs are divided by the number of images that share it.

    Args:
        distance: 'euclidean' or 'kl'.
        margin: None takes the margin above.
        loss_weight: factor of the loss.

    Raises:
        ConfigError: if ``distance`` is unknown.

    Examples:
        >>> import torch
        >>> from mmvireid.models import HeteroCenterClusterLoss
        >>> embeddings = torch.tensor([[0.0], [1.0], [0.2], [1.5]])
        >>> ids, modality = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
        >>> loss = HeteroCenterClusterLoss('euclidean', margin=1.0)(embeddings, ids, modality)
        >>> round(loss.item(), 3)  # pulled by 0.35 on average, two of eight hinges of 0.2
        0.4
    """

    def __init__(self,
                 distance: str = 'euclidean',
                 margin: float | None = None,
                 loss_weight: float = 1.0) -> None:
        super().__init__()
        if distance not in MARGINS:
            raise ConfigError(f'distance must be one of {list(MARGINS)}, got {distance!r}')
        self.distance = distance
        self.margin = MARGINS[distance] if margin is None else margin
        self.loss_weight = loss_weight

    def forward(self, embeddings_or_logits: Tensor, ids: Tensor, modality: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings_or_logits: shape ``(N, D)``; logits for ``distance='kl'``.
            ids: identities of shape ``(N,)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared.

        Returns:
            Scalar. Images whose identity is missing in the other modality are left out
            of the first part.
        """
        with without_autocast(embeddings_or_logits):
            z = at_least_float32(embeddings_or_logits)
            if self.distance == 'kl':
                z = z.softmax(1)
            same_id = ids[:, None] == ids[None, :]
            same_modality = modality[:, None] == modality[None, :]
            # Row i marks the images of i's identity in i's modality; i itself is among them, so
            # no row is empty. The product sums them: row i of `centres` is i's own centre.
            own_group = (same_id & same_modality).to(z.dtype)
            share = 1 / own_group.sum(1)
            centres = (own_group @ z) * share[:, None]
            to_centres = (pairwise_euclidean(z, centres)
                          if self.distance == 'euclidean' else symmetric_kl(z, centres))

            # Column j stands for the centre of image j, which `1 / share[j]` columns repeat: with
            # `share` as the weight of a column, each centre counts once.
            pull = (same_id & ~same_modality) * share
            push = ~same_id * share
            # Only pairs of `push` take part; the hinge of the others is weighted by zero.
            hinge = (self.margin - to_centres).relu()
            return self.loss_weight * (
                weighted_mean(to_centres, pull) + weighted_mean(hinge, push))

    def extra_repr(self) -> str:
        """Show distance and margin."""
        return f'distance={self.distance!r}, margin={self.margin}'


def symmetric_kl(z: Tensor, m: Tensor) -> Tensor:
    """Compute ``KL(m ‖ z) + KL(z ‖ m)`` of all pairs, first arguments without gradient.

    Args:
        z: probabilities of shape ``(N, C)``.
        m: probabilities of shape ``(M, C)``.

    Returns:
        Shape ``(N, M)``.
    """
    # KL(a ‖ b) = sum of a log a - sum of a log b. The second sum over all pairs is a matrix
    # product, so nothing of shape (N, M, C) is ever held.
    log_z = z.clamp(min=MIN_PROBABILITY).log()
    log_m = m.clamp(min=MIN_PROBABILITY).log()
    z_fixed, m_fixed = z.detach(), m.detach()
    # Sums of p log p: the first argument is without gradient, and so is this.
    of_m = (m_fixed * log_m.detach()).sum(1)[None, :]
    of_z = (z_fixed * log_z.detach()).sum(1)[:, None]
    return of_m + of_z - log_z @ m_fixed.T - z_fixed @ log_m.T
