"""Memories of the modalities, and one of both that each modality learns from in turn."""

from dataclasses import replace

import numpy as np

from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet, Prototypes, PseudoLabels, Term

from .matched_memories import MatchedMemories
from .matching import ClusterMatch
from .prototypes import hybrid_centroids


@TASK_UTILS.register_module()
class HybridMemories(MatchedMemories):
    """Add a memory of both modalities to those of :class:`MatchedMemories`.

    Its prototypes are the means of an infrared cluster and its visible partner. Whichever
    images are compared with the memory of the other modality in an epoch are compared with
    this one too: visible images with the prototype of their partner, infrared images with
    their own (RPNR, MM 2024). They move it.

    Prototypes are those of the clusters as they were found, also where a refinement has
    taken all images of a cluster for others. (The released code leaves such a prototype
    zero.)

    Args:
        descriptor: name of the descriptor of which prototypes are made.
        cross_weight: factor of the loss ``cross``.
        hybrid_weight: factor of the loss ``hybrid``.
        turns: see :class:`MatchedMemories`.

    Raises:
        ConfigError: if ``turns`` is unknown.
    """

    def __init__(self,
                 descriptor: str = 'base',
                 cross_weight: float = 0.25,
                 hybrid_weight: float = 0.5,
                 turns: str = 'alternate') -> None:
        super().__init__(descriptor, cross_weight, turns)
        self.hybrid_weight = hybrid_weight

    def __call__(self,
                 images: ImageSet,
                 clusters: np.ndarray,
                 labels: np.ndarray,
                 match: ClusterMatch | None = None,
                 epoch: int = 0) -> PseudoLabels:
        """Plan the memories of :class:`MatchedMemories`, and the memory and loss ``hybrid``."""
        matched = super().__call__(images, clusters, labels, match, epoch)
        centroids = hybrid_centroids(
            matched.prototypes['visible'].centroids, matched.prototypes['infrared'].centroids,
            match.infrared_to_visible)
        *crossing, _, infrared = matched.terms
        # Prototypes of the memory are numbered as the infrared clusters are.
        hybrid = [
            Term('hybrid', term.targets if term.memory == 'infrared' else infrared.targets,
                 loss='hybrid', weight=self.hybrid_weight)
            for term in crossing]
        return replace(
            matched,
            prototypes={**matched.prototypes,
                        'hybrid': Prototypes(centroids, descriptor=self.descriptor)},
            terms=[*hybrid, *matched.terms])
