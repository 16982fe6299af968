"""A memory for each modality, and images that are compared with that of the other one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet, PseudoLabels, Term
from mmvireid.utils.errors import ConfigError

from .matching import ClusterMatch
from .memory_plans import ModalityMemories


def cross_terms(own: Sequence[Term],
                match: ClusterMatch,
                epoch: int,
                turns: str = 'alternate',
                **options: float) -> list[Term]:
    """Compare images with the prototype of their cluster's partner in the other modality.

    The alternation of PGM (CVPR 2023): in even epochs the visible images learn from the
    infrared memory, in odd ones the infrared images from the visible one. They also move it.
    An image whose cluster has no partner has no part.

    Args:
        own: the terms of the visible images with the memory ``visible`` and of the infrared
            ones with the memory ``infrared``, as :class:`ModalityMemories` makes them.
        match: the partners.
        epoch: number of the epoch, from 0 at the start of the stage.
        turns: 'alternate', or 'both' for both directions in each epoch.
        **options: of the terms, for example ``weight``.

    Returns:
        The terms, one or two, with the loss ``cross``. They come before ``own`` in a list of
        all terms, because they move the memories first.

    Raises:
        ConfigError: if ``turns`` is unknown.

    Examples:
        >>> import numpy as np, torch
        >>> from mmvireid.clustering import ClusterMatch, cross_terms
        >>> from mmvireid.structures import Term
        >>> own = [Term('visible', torch.tensor([0, 1, 2, -1, -1])),
        ...        Term('infrared', torch.tensor([-1, -1, -1, 0, 1]))]
        >>> match = ClusterMatch(np.array([1, 0, 1]), np.array([1, 0]))
        >>> for epoch in (0, 1):
        ...     term, = cross_terms(own, match, epoch, weight=0.25)
        ...     print(term.memory, term.targets)
        infrared tensor([ 1,  0,  1, -1, -1])
        visible tensor([-1, -1, -1,  1,  0])
    """
    if turns not in ('alternate', 'both'):
        raise ConfigError(f"turns must be 'alternate' or 'both', got {turns!r}")
    maps = (match.visible_to_infrared, match.infrared_to_visible)
    directions = [(0, 'infrared'), (1, 'visible')]
    if turns == 'alternate':
        directions = [directions[epoch % 2]]
    # Outliers have the position -1: the last entry, which is none.
    return [
        Term(memory, torch.from_numpy(np.append(maps[value], -1)).to(own[value].targets)[
            own[value].targets], loss='cross', **options)
        for value, memory in directions]


@TASK_UTILS.register_module()
class MatchedMemories(ModalityMemories):
    """Give each modality a memory, and compare images with their partner's prototype too.

    Alternate learning of PGM (CVPR 2023), see :func:`cross_terms`.

    Args:
        descriptor: name of the descriptor of which prototypes are made.
        cross_weight: factor of the loss ``cross``.
        turns: 'alternate' between the directions from epoch to epoch, or 'both' in each.

    Raises:
        ConfigError: if ``turns`` is unknown.
    """

    def __init__(self,
                 descriptor: str = 'base',
                 cross_weight: float = 0.25,
                 turns: str = 'alternate') -> None:
        super().__init__(descriptor)
        if turns not in ('alternate', 'both'):
            raise ConfigError(f"turns must be 'alternate' or 'both', got {turns!r}")
        self.cross_weight = cross_weight
        self.turns = turns

    def __call__(self,
                 images: ImageSet,
                 clusters: np.ndarray,
                 labels: np.ndarray,
                 match: ClusterMatch | None = None,
                 epoch: int = 0) -> PseudoLabels:
        """Plan memories and losses ``visible`` and ``infrared``, and the loss ``cross``.

        Raises:
            UsageError: without a match.
            InputError: if a label is no cluster of the image's modality.
        """
        match = self.require_match(match, 'ProgressiveGraphMatching')
        own = super().__call__(images, clusters, labels)
        crossing = cross_terms(own.terms, match, epoch, self.turns, weight=self.cross_weight)
        return replace(own, terms=[*crossing, *own.terms])
