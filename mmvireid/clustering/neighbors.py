"""Neighbour rules: which images may be neighbours of an image, and how many of each kind."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS
from mmvireid.search import self_topk
from mmvireid.utils.errors import ConfigError, InputError

Array = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class NeighborLists:
    """The lists of each image that a k-reciprocal encoding is made of.

    All hold image indices, nearest first, ``-1`` behind the end of a short list.

    Args:
        full: shape ``(N, K)``, the list that makes the neighbours ``R(i, k1)``.
        half: shape ``(N, H)``, the shorter list that makes ``R(c, k1 / 2)``, by which sets
            are extended.
        expansion: tuple of lists of shape ``(N, E)``: query expansion averages over each
            of them, then over the lists. Empty for no query expansion.
        shortages: sentences that say which lists are shorter than asked for.
    """

    full: np.ndarray
    half: np.ndarray
    expansion: tuple[np.ndarray, ...]
    shortages: tuple[str, ...] = ()


class NeighborRule(ABC):
    """Decide which images the lists of an image are taken from.

    A rule is an object with its own few settings, so the distance, the encoding and the
    clusterers hand it on without knowing them. A rule of one's own implements
    :meth:`lists`, and names in :attr:`needs` what it must know of each image besides its
    features; one that looks at modality and camera together needs both.
    """

    #: What the rule must know of each image: ``'modality'``, ``'cameras'``, both or nothing.
    needs: tuple[str, ...] = ()

    def __call__(self,
                 features: torch.Tensor,
                 modality: Array | None = None,
                 cameras: Array | None = None,
                 **search: Any) -> NeighborLists:
        """Search the lists of all images.

        Args:
            features: shape ``(N, D)`` float32, finite, torch (CPU or CUDA).
            modality: shape ``(N,)`` int, 0 visible, 1 infrared, for rules that need it.
            cameras: shape ``(N,)`` int, for rules that need it.
            **search: ``backend`` and ``distributed`` of :func:`mmvireid.search.self_topk`.

        Returns:
            NeighborLists: the lists.

        Raises:
            InputError: if there are no images, what the rule needs is missing, or shapes do
                not agree.
        """
        if len(features) == 0:
            raise InputError('there are no features to compare')
        given = {'modality': modality, 'cameras': cameras}
        known = {}
        for name in self.needs:
            if given[name] is None:
                raise InputError(f'{type(self).__name__} needs {name} of shape '
                                 f'({len(features)},), one for each image')
            known[name] = _one_per_image(name, given[name], len(features))
        if 'modality' in known and not np.isin(known['modality'], (0, 1)).all():
            raise InputError('modality must be 0 (visible) or 1 (infrared)')
        return self.lists(features, **known, **search)

    @abstractmethod
    def lists(self, features: torch.Tensor, **known_and_search: Any) -> NeighborLists:
        """Search the lists, of valid input.

        Args:
            features: shape ``(N, D)`` float32, N > 0.
            **known_and_search: what :attr:`needs` names, as arrays of shape ``(N,)``, and
                the options of the search.

        Returns:
            NeighborLists: the lists.
        """


class _FullAndHalf(NeighborRule):
    """What the rules with a full list, a half list and one length of expansion share."""

    def __init__(self, k1: int = 30, k2: int = 6) -> None:
        if k1 < 2 or k2 < 1:
            raise ConfigError(f'k1 must be at least 2 and k2 at least 1, got {k1} and {k2}')
        self.k1 = k1
        self.k2 = k2

    @property
    def half_columns(self) -> int:
        """Length of the half list, which has one column more than half of ``k1``."""
        return min(half_of(self.k1) + 1, self.k1)


@TASK_UTILS.register_module()
class PlainNeighbors(_FullAndHalf):
    """Rank all images together by Euclidean distance.

    ``k1`` columns include the image itself, and the half list has one column more than
    half of ``k1`` (Zhong et al., "Re-ranking Person Re-identification with k-reciprocal
    Encoding", CVPR 2017, as its code counts).

    Args:
        k1: length of the full list.
        k2: length of the expansion list, 1 for no expansion.

    Raises:
        ValueError: if ``k1`` is below 2 or ``k2`` below 1.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import PlainNeighbors
        >>> rows = torch.tensor([[0.0], [1.0], [3.0]])
        >>> PlainNeighbors(k1=2, k2=1)(rows).full.tolist()
        [[0, 1], [1, 0], [2, 1]]
    """

    def lists(self, features: torch.Tensor, **search: Any) -> NeighborLists:
        """Search the lists, one of them for expansion.

        Args:
            features: shape ``(N, D)`` float32.
            **search: options of the search.

        Returns:
            NeighborLists: the lists.
        """
        columns = max(self.k1, self.k2)
        (_, ranks), = self_topk(features, columns, metric='l2', **search)
        ranks = ranks.cpu().numpy()
        return NeighborLists(
            full=ranks[:, :self.k1],
            half=ranks[:, :self.half_columns],
            expansion=(ranks[:, :self.k2], ) if self.k2 > 1 else (),
            shortages=shortages([('the data', len(features), columns)]))


@TASK_UTILS.register_module()
class BalancedNeighbors(_FullAndHalf):
    """Take half of each list from the visible and half from the infrared images.

    The nearest images of anyone are mostly of the own modality; taking ``k1 // 2`` from
    each and merging them by inner product keeps the other modality in every list (BMIL,
    arXiv 2512.07760, modality-aware nearest neighbours).

    Args:
        k1: length of the full list, ``k1 // 2`` from each modality.
        k2: length of each modality's expansion list, 1 for no expansion.
        expansion: ``'per_modality'`` averages over ``k2`` images of each modality (the
            release), ``'split'`` over ``k2 // 2``, at least 1, of each (the paper's text).
        half_list: ``'merged'``, the first columns of the merged list (the release), or
            ``'balanced'``, again one half from each modality.

    Raises:
        ConfigError: if an option is unknown, ``k1`` below 2 or ``k2`` below 1.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import BalancedNeighbors
        >>> rows = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
        >>> modality = torch.tensor([0, 0, 1, 1])
        >>> BalancedNeighbors(k1=2, k2=1)(rows, modality).full.tolist()
        [[0, 2], [1, 2], [2, 1], [3, 1]]
    """

    needs = ('modality', )

    def __init__(self,
                 k1: int = 30,
                 k2: int = 6,
                 expansion: str = 'per_modality',
                 half_list: str = 'merged') -> None:
        super().__init__(k1, k2)
        if expansion not in ('per_modality', 'split'):
            raise ConfigError(f'expansion must be "per_modality" or "split", got "{expansion}"')
        if half_list not in ('merged', 'balanced'):
            raise ConfigError(f'half_list must be "merged" or "balanced", got "{half_list}"')
        self.expansion = expansion
        self.half_list = half_list

    def lists(self, features: torch.Tensor, modality: np.ndarray, **search: Any) -> NeighborLists:
        """Search the lists, one expansion list for each modality that is present.

        Args:
            features: shape ``(N, D)`` float32.
            modality: shape ``(N,)`` int.
            **search: options of the search.

        Returns:
            NeighborLists: the lists.
        """
        share = self.k1 // 2
        length = max(1, self.k2 // 2) if self.expansion == 'split' else self.k2
        columns = max(share, length, 1)
        found = self_topk(features, columns, groups=modality, **search)
        scores = [score.cpu().numpy() for score, _ in found]
        ranks = [rank.cpu().numpy() for _, rank in found]
        full = merge_lists(scores, ranks, share)
        if self.half_list == 'balanced':
            half = merge_lists(scores, ranks, self.half_columns // 2)
        else:
            half = full[:, :self.half_columns]
        return NeighborLists(
            full=full,
            half=half,
            expansion=tuple(rank[:, :length] for rank in ranks) if self.k2 > 1 else (),
            shortages=shortages((f'the {name} modality', int((modality == value).sum()), columns)
                                for value, name in enumerate(('visible', 'infrared'))))


@TASK_UTILS.register_module()
class ReweightedNeighbors(PlainNeighbors):
    """Rank all images together; balance the modalities in the query expansion only.

    The visible and the infrared ones among the first ``k2`` get the same total weight.
    This is the distance of earlier work (MMM, PCLHD), which BMIL's own replaces.

    Args:
        k1: length of the full list.
        k2: length of the expansion list, 1 for no expansion.
    """

    needs = ('modality', )

    def lists(self, features: torch.Tensor, modality: np.ndarray, **search: Any) -> NeighborLists:
        """Search the lists, with two expansion lists.

        Args:
            features: shape ``(N, D)`` float32.
            modality: shape ``(N,)`` int.
            **search: options of the search.

        Returns:
            NeighborLists: in an expansion list, holes where a neighbour is of the other
            modality.
        """
        plain = super().lists(features, **search)
        if not plain.expansion:
            return plain
        ranks, = plain.expansion
        split = tuple(np.where(modality[ranks] == value, ranks, -1) for value in (0, 1))
        return NeighborLists(plain.full, plain.half, split, plain.shortages)


def modality_aware_neighbors(k1: int = 30,
                             k2: int = 6,
                             expansion: str = 'per_modality',
                             half_list: str = 'merged') -> NeighborRule:
    """Choose the modality-aware rule by the name of its query expansion.

    Args:
        k1: see :class:`BalancedNeighbors`.
        k2: see :class:`BalancedNeighbors`.
        expansion: ``'per_modality'`` or ``'split'`` of :class:`BalancedNeighbors`, or
            ``'reweighted'`` for :class:`ReweightedNeighbors`.
        half_list: see :class:`BalancedNeighbors`.

    Returns:
        NeighborRule: the rule.

    Raises:
        InputError: if an option is unknown.
    """
    if expansion == 'reweighted':
        return ReweightedNeighbors(k1, k2)
    if expansion not in ('per_modality', 'split'):
        raise InputError(f'unknown expansion "{expansion}", choose one of "per_modality", "split" '
                         'and "reweighted"')
    return BalancedNeighbors(k1, k2, expansion, half_list)


def half_of(k1: int) -> int:
    """Return ``k1 / 2``, 7.5 rounded to the even 8, as the published code rounds.

    Args:
        k1: neighbours of an image.
    """
    return round(k1 / 2)


def merge_lists(scores: Sequence[np.ndarray], ranks: Sequence[np.ndarray],
                share: int) -> np.ndarray:
    """Merge the first columns of several lists of each image, best score first.

    Args:
        scores: shape ``(N, K)`` each, -inf where there is no neighbour.
        ranks: shape ``(N, K)`` each, the neighbours.
        share: columns to take from each.

    Returns:
        np.ndarray: shape ``(N, sum of min(K, share))``, equal scores by index.
    """
    score = np.concatenate([part[:, :share] for part in scores], axis=1)
    rank = np.concatenate([part[:, :share] for part in ranks], axis=1)
    # Sorting by index first makes the stable sort by score give ties to the lower index.
    order = np.argsort(rank, axis=1)
    rank = np.take_along_axis(rank, order, 1)
    score = np.take_along_axis(score, order, 1)
    return np.take_along_axis(rank, np.argsort(-score, axis=1, kind='stable'), 1)


def shortages(sources: Iterable[tuple[str, int, int]]) -> tuple[str, ...]:
    """Say where there are fewer images than neighbours asked for.

    Args:
        sources: name, number of images and number of neighbours asked for.

    Returns:
        tuple: a sentence for each that is too small.
    """
    return tuple(
        f'{name} has only {available} images where {wanted} neighbours were asked for; lists are '
        'as long as the data allow' for name, available, wanted in sources if available < wanted)


def _one_per_image(name: str, values: Array, num: int) -> np.ndarray:
    """Return an array after checking its length."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    values = np.asarray(values)
    if values.shape != (num, ):
        raise InputError(f'{name} must be of shape ({num},), got {values.shape}')
    return values
