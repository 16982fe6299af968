"""Memories of the modalities, with targets that neighbours have softened."""

import logging
from dataclasses import replace

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional

from mmvireid.registry import TASK_UTILS
from mmvireid.search import self_topk
from mmvireid.search.topk import float_rows
from mmvireid.structures import ImageSet, PseudoLabels, Term
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.log_once import LogOnce

from .matched_memories import MatchedMemories
from .matching import ClusterMatch
from .neighbor_labels import neighbor_weights, soft_labels_of_neighbors
from .neighbors import shortages

logger = logging.getLogger(__name__)


@TASK_UTILS.register_module()
class NeighborSoftMemories(MatchedMemories):
    """Soften the targets of :class:`MatchedMemories` by the clusters of an image's neighbours.

    For each comparison with a memory, the neighbours are those among the images of its
    modality (:func:`neighbor_soft_labels`). The target is
    ``balance * one-hot + (1 - balance) * soft label``, and an image weighs the less, the
    less its neighbours agree with its label (:func:`neighbor_weights`). Memories move by the
    labels alone (N-ULC, AAAI 2025).

    An image with nothing but outliers around it has no soft label: its target is
    ``balance * one-hot``, its weight ``exp(-scale)``. (The released code gives NaN.)

    Args:
        descriptor: name of the descriptor of which prototypes are made and by which
            neighbours are found.
        cross_weight: factor of the loss ``cross``.
        turns: see :class:`MatchedMemories`.
        num_neighbors: neighbours of an image. Near the number of images of a cluster:
            weights are small where they differ much.
        balance: share of the one-hot target, from 0 to 1.
        scale: how fast the weight falls with the disagreement.

    Raises:
        ConfigError: if ``turns`` is unknown, there is no neighbour, or ``balance`` is out of
            range.
    """

    def __init__(self,
                 descriptor: str = 'base',
                 cross_weight: float = 3.0,
                 turns: str = 'alternate',
                 num_neighbors: int = 30,
                 balance: float = 0.7,
                 scale: float = 10.0) -> None:
        super().__init__(descriptor, cross_weight, turns)
        if num_neighbors < 1 or not 0 <= balance <= 1:
            raise ConfigError('num_neighbors must be at least 1 and balance between 0 and 1, got '
                              f'{num_neighbors} and {balance}')
        self.num_neighbors = num_neighbors
        self.balance = balance
        self.scale = scale
        self._warn_once = LogOnce(logger)

    def __call__(self,
                 images: ImageSet,
                 clusters: np.ndarray,
                 labels: np.ndarray,
                 match: ClusterMatch | None = None,
                 epoch: int = 0) -> PseudoLabels:
        """Plan the memories of :class:`MatchedMemories`, with soft targets and weights.

        With several processes all of them call: each searches the neighbours of a share of
        the images. The notes have the mean weight of each loss.
        """
        matched = super().__call__(images, clusters, labels, match, epoch)
        rows = functional.normalize(float_rows('descriptors', images.descriptors[self.descriptor]))
        # One search for the four kinds of neighbours: of all images among the visible and among
        # the infrared ones.
        found = self_topk(rows, self.num_neighbors, groups=images.modality, distributed=True)
        soft = {}
        for own, (_, neighbors) in zip(matched.terms[-2:], found, strict=True):
            soft[own.memory] = soft_labels_of_neighbors(
                neighbors.cpu().numpy(), own.targets.cpu().numpy(),
                matched.prototypes[own.memory].num_clusters)
            for shortage in shortages([(f'the {own.memory} modality', neighbors.shape[1],
                                        self.num_neighbors)]):
                self._warn_once(shortage)
        terms, notes = [], {}
        for term in matched.terms:
            terms.append(self._softened(term, soft[term.memory]))
            weights = terms[-1].image_weights[term.targets >= 0]
            name = term.loss if term.loss == term.memory else f'{term.loss} {term.memory}'
            notes[f'weight {name}'] = float(weights.mean()) if len(weights) else 0.0
        return replace(matched, terms=terms, notes={**matched.notes, **notes})

    def _softened(self, term: Term, soft: sparse.csr_matrix) -> Term:
        """Give a term soft targets and weights."""
        targets = term.targets.cpu().numpy()
        weights = neighbor_weights(soft, targets, scale=self.scale)
        own = np.flatnonzero(targets >= 0)
        hard = sparse.csr_matrix(
            (np.ones(len(own)), (own, targets[own])), shape=soft.shape)
        alone = int((np.diff(soft.indptr)[own] == 0).sum())
        if alone:
            logger.warning(
                f'{alone} of {len(own)} images that are compared with {term.memory} clusters '
                f'have only outliers among their nearest {term.memory} images: their targets '
                'are not softened, and they hardly count. More num_neighbors or a larger eps '
                'would give them neighbours.')
        return replace(
            term,
            soft_targets=self.balance * hard + (1 - self.balance) * soft,
            image_weights=torch.from_numpy(weights).to(term.targets.device, torch.float32))
