"""A memory for each modality, of which one begins near the matched prototypes of the other."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet, PseudoLabels
from mmvireid.utils.errors import ConfigError

from .matching import Array, ClusterMatch
from .memory_plans import ModalityMemories


def aggregate_prototypes(visible: Array,
                         infrared: Array,
                         pairs: Array,
                         *,
                         keep: float = 0.1) -> torch.Tensor:
    """Move visible prototypes to the infrared ones that they are matched with.

    The cross-modality memory aggregation of ADCA (ACM MM 2022).

    Args:
        visible: shape ``(Kv, D)`` float, unit rows.
        infrared: shape ``(Ki, D)`` float, unit rows.
        pairs: shape ``(P, 2)`` int, visible and infrared cluster of each match.
        keep: share of the old visible prototype in the new one.

    Returns:
        torch.Tensor: shape ``(Kv, D)``, on the device of ``visible``. Rows of a pair are
        ``keep * visible + (1 - keep) * infrared`` and a little shorter than 1, as released.

    Raises:
        ConfigError: if ``keep`` is not between 0 and 1.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import aggregate_prototypes
        >>> aggregate_prototypes(torch.eye(2), torch.tensor([[0.0, 1.0]]), [[0, 0]], keep=0.25)
        tensor([[0.2500, 0.7500],
                [0.0000, 1.0000]])
    """
    if not 0 <= keep <= 1:
        raise ConfigError(f'keep must be between 0 and 1, got {keep}')
    moved = torch.as_tensor(visible).detach().clone()
    infrared = torch.as_tensor(infrared).detach().to(moved)
    own, partner = torch.as_tensor(pairs, device=moved.device).long().unbind(1)
    moved[own] = keep * moved[own] + (1 - keep) * infrared[partner]
    return moved


@TASK_UTILS.register_module()
class AggregatedMemories(ModalityMemories):
    """Give each modality a memory, and let matched visible prototypes begin near infrared ones.

    The plan of ADCA's second stage (ACM MM 2022): there is no comparison across modalities,
    the visible images are drawn to where the infrared ones of their person are. Without any
    match it is :class:`ModalityMemories`.

    Args:
        descriptor: name of the descriptor of which prototypes are made.
        keep: share of the own prototype where there is a partner.
        normalize: scale these prototypes to unit length. The release does not, so that until
            their first update the scores of matched clusters are a little smaller.

    Raises:
        ConfigError: if ``keep`` is not between 0 and 1.
    """

    def __init__(self,
                 descriptor: str = 'base',
                 keep: float = 0.1,
                 normalize: bool = False) -> None:
        super().__init__(descriptor)
        if not 0 <= keep <= 1:
            raise ConfigError(f'keep must be between 0 and 1, got {keep}')
        self.keep = keep
        self.normalize = normalize

    def __call__(self,
                 images: ImageSet,
                 clusters: np.ndarray,
                 labels: np.ndarray,
                 match: ClusterMatch | None = None,
                 epoch: int = 0) -> PseudoLabels:
        """Plan memories and losses ``visible`` and ``infrared``; visible clusters have partners.

        Raises:
            UsageError: without a match.
            InputError: if a label is no cluster of the image's modality.
        """
        match = self.require_match(match, 'VoteMatching')
        own = super().__call__(images, clusters, labels)
        partners = match.visible_to_infrared
        matched = np.flatnonzero(partners >= 0)
        if not len(matched):
            return own
        visible, infrared = (functional.normalize(own.prototypes[name].centroids)
                             for name in ('visible', 'infrared'))
        moved = aggregate_prototypes(
            visible, infrared, np.stack([matched, partners[matched]], 1), keep=self.keep)
        return replace(own, prototypes={
            **own.prototypes,
            'visible': replace(own.prototypes['visible'], centroids=moved,
                               normalize=self.normalize)})
