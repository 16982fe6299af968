"""The counterfactual branch of CIFT."""

import torch
from torch import Tensor, nn

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError, InputError

from ..utils import at_least_float32, without_autocast
from .affinity import transfer_affinity


@MODELS.register_module()
class CounterfactualIntervention(nn.Module):
    """Transfer features along an affinity that does not depend on them.

    Counterfactual relation intervention (CIFT, arXiv 2208.00967, section 3.3) cuts
    the edge from the features X to their affinity A: the affinity is computed from
    ``X* = noise * max(c, 0) + k`` with learnable ``c`` and ``k``, while the messages
    stay the factual features. What the classifier gains from the factual affinity
    over this one is the total indirect effect, which is then supervised.

    The counterfactual graph has the masks and temperatures of the factual one, but
    no self edges.

    Args:
        in_channels: D of the node features.
        num_draws: T, the draws of the noise whose outcomes are averaged.
        noise: 'slot' has one ``c`` and one ``k`` for each row of the batch, as the
            authors released it, so every batch must have ``batch_size`` rows; 'shared'
            has one ``c`` and one ``k`` for all rows and takes any batch.
        batch_size: rows of a batch over all processes, for ``noise='slot'``.

    Raises:
        ConfigError: if ``noise`` is unknown, or 'slot' without a batch size, or there is no
            draw.

    Examples:
        >>> import torch
        >>> from mmvireid.models import CounterfactualIntervention, transfer_affinity
        >>> features, is_query = torch.rand(6, 8), torch.arange(6) < 3
        >>> intervention = CounterfactualIntervention(in_channels=8, noise='shared')
        >>> factual = transfer_affinity(features, is_query) @ features
        >>> effect = factual - intervention(features, is_query)  # this is classified
        >>> effect.shape
        torch.Size([6, 8])
    """

    def __init__(self,
                 in_channels: int,
                 num_draws: int = 10,
                 noise: str = 'slot',
                 batch_size: int | None = None) -> None:
        super().__init__()
        if noise not in ('slot', 'shared'):
            raise ConfigError(f"noise must be 'slot' or 'shared', got {noise!r}")
        if num_draws < 1:
            raise ConfigError(f'num_draws must be at least 1, got {num_draws}: the intervention '
                              'is switched off by counterfactual=False of the head')
        if noise == 'slot' and batch_size is None:
            raise ConfigError("noise='slot' has parameters for each row of the batch: give "
                              "batch_size, or use noise='shared'")
        self.in_channels = in_channels
        self.num_draws = num_draws
        self.noise = noise
        rows = batch_size if noise == 'slot' else 1
        self.c = nn.Parameter(torch.ones(rows, 1))
        self.k = nn.Parameter(torch.zeros(rows, in_channels))

    def forward(self,
                features: Tensor,
                is_query: Tensor,
                *,
                tau_het: float = 0.2,
                tau_hom: float = 0.4,
                num_neighbors: int = 4,
                draws: Tensor | None = None) -> Tensor:
        """Average the transferred features over fresh draws of the noise.

        Args:
            features: factual node features of shape ``(N, D)``.
            is_query: shape ``(N,)`` bool.
            tau_het: temperature of the queries' edges.
            tau_hom: temperature of the gallery's edges.
            num_neighbors: gallery nodes, other than itself, that a node receives from.
            draws: noise of shape ``(T, N, D)``; None draws it from torch's default
                generator.

        Returns:
            Counterfactual features of shape ``(N, D)``.

        Raises:
            InputError: if the batch does not have the rows that 'slot' was built for.
        """
        if self.noise == 'slot' and len(features) != len(self.c):
            raise InputError(
                f"noise='slot' was built for batches of {len(self.c)} rows, got {len(features)}: "
                "set batch_size (model.head.batch_size) to the rows of all processes together, or "
                "use noise='shared'")
        with without_autocast(features):
            features = at_least_float32(features)
            if draws is None:
                draws = torch.randn(
                    self.num_draws, *features.shape, dtype=features.dtype,
                    device=features.device)
            # Neither `draws` nor `c` nor `k` knows the features: here the edge from features to
            # affinity is cut. The T draws are T graphs of one batched call.
            affinity = transfer_affinity(
                draws * self.c.relu() + self.k,
                is_query,
                tau_het=tau_het,
                tau_hom=tau_hom,
                num_neighbors=num_neighbors,
                self_edges=False)
            # The mean over draws of A_t X is (the mean of A_t) X: one product, not T.
            return affinity.mean(0) @ features

    def extra_repr(self) -> str:
        """Show the number of draws and the kind of noise."""
        return f'in_channels={self.in_channels}, num_draws={self.num_draws}, noise={self.noise!r}'
