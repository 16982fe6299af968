"""From clusters to prototypes, and to the terms of a loss that compares images with them."""

from abc import ABC, abstractmethod

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet, Prototypes, PseudoLabels, Term
from mmvireid.utils.errors import InputError, UsageError

from .matching import ClusterMatch, join_matched
from .prototypes import cluster_centroids, modality_prototypes


class MemoryPlan(ABC):
    """Decide which prototypes there are, and which images are compared with them.

    The last step of a :class:`ClusterLabeller`. Prototypes are those of the clusters; which
    prototype an image belongs to is its label's.

    Args:
        descriptor: name of the descriptor of which prototypes are made.
    """

    def __init__(self, descriptor: str = 'base') -> None:
        self.descriptor = descriptor

    @abstractmethod
    def __call__(self,
                 images: ImageSet,
                 clusters: np.ndarray,
                 labels: np.ndarray,
                 match: ClusterMatch | None = None,
                 epoch: int = 0) -> PseudoLabels:
        """Plan the memories of an epoch.

        Args:
            images: the N images of the training set.
            clusters: shape ``(N,)`` int, the clusters as they were found, -1 for images in
                none; they make the prototypes.
            labels: shape ``(N,)`` int, the cluster that each image is taken for after any
                refinement, -1 for none.
            match: the partners of the clusters; None where they were not matched.
            epoch: number of the epoch, from 0 at the start of the stage.

        Returns:
            PseudoLabels: the labels with prototypes and terms.
        """

    def require_match(self, match: ClusterMatch | None, example: str) -> ClusterMatch:
        """Refuse to plan without knowing which clusters are partners.

        Args:
            match: what the plan was called with.
            example: an associator that the message names.

        Returns:
            The match.

        Raises:
            UsageError: if there is none.
        """
        if match is None:
            raise UsageError(f'{type(self).__name__} needs to know which clusters are partners: '
                             f"give the labeller an associate, for example dict(type='{example}')")
        return match


@TASK_UTILS.register_module()
class ModalityMemories(MemoryPlan):
    """Give each modality a memory of its own, one prototype per cluster.

    Args:
        descriptor: name of the descriptor of which prototypes are made.
    """

    def __call__(self,
                 images: ImageSet,
                 clusters: np.ndarray,
                 labels: np.ndarray,
                 match: ClusterMatch | None = None,
                 epoch: int = 0) -> PseudoLabels:
        """Plan the memories and losses ``visible`` and ``infrared``, of labels that are clusters.

        Prototypes are numbered in each modality in ascending order of the clusters. There is no
        comparison across modalities, so a match has no part.

        Raises:
            InputError: if a label is no cluster of the image's modality.
        """
        features = images.descriptors[self.descriptor]
        prototypes, terms = {}, []
        for value, name in enumerate(('visible', 'infrared')):
            own = images.modality == value
            # Row k of a memory is the k-th of its modality's clusters.
            numbers = np.unique(clusters[own & (clusters >= 0)])
            prototypes[name] = Prototypes(
                cluster_centroids(features, _positions(clusters, numbers, own)),
                descriptor=self.descriptor)
            targets = _positions(labels, numbers, own)
            terms.append(Term(name, torch.from_numpy(targets).to(features.device), loss=name))
        return PseudoLabels(labels, prototypes, terms, clusters)


@TASK_UTILS.register_module()
class SharedMemory(MemoryPlan):
    """Give both modalities one memory, one prototype per cluster.

    What contrastive learning on pseudo labels does without regard to modality. Where
    separate clusters of the modalities have been matched, a visible cluster and its
    infrared partner are one.

    Args:
        descriptor: name of the descriptor of which prototypes are made.
    """

    def __call__(self,
                 images: ImageSet,
                 clusters: np.ndarray,
                 labels: np.ndarray,
                 match: ClusterMatch | None = None,
                 epoch: int = 0) -> PseudoLabels:
        """Plan the memory ``shared``, in which matched clusters have one prototype."""
        features, joined = images.descriptors[self.descriptor], clusters
        if match is not None:
            # Prototypes are those of the clusters, targets those of the corrected labels.
            joined = join_matched(clusters, images.modality, match)
            labels = join_matched(clusters, images.modality, match, labels)
        return PseudoLabels(
            labels,
            {'shared': Prototypes(cluster_centroids(features, joined),
                                  descriptor=self.descriptor)},
            [Term('shared', torch.from_numpy(labels).to(features.device))],
            clusters)


@TASK_UTILS.register_module()
class SplitMemory(MemoryPlan):
    """Split each cluster into a visible and an infrared prototype, in one memory.

    BMIL's split-and-contrast learning (arXiv 2512.07760): an image is drawn to both
    prototypes of its cluster, and moves the one of its own modality. The visible images
    move theirs first, as in the release; as no prototype is moved by both, that shows in
    the gradient ``cross_gradient='moved'`` alone.

    Args:
        descriptor: name of the descriptor of which prototypes are made.
    """

    def __call__(self,
                 images: ImageSet,
                 clusters: np.ndarray,
                 labels: np.ndarray,
                 match: ClusterMatch | None = None,
                 epoch: int = 0) -> PseudoLabels:
        """Plan the memory ``split``, with groups, and the losses ``visible`` and ``infrared``.

        Prototypes are those of the labels, because a refinement may give a cluster its first
        image of a modality. Clusters hold both modalities, so a match has no part.
        """
        split = modality_prototypes(images.descriptors[self.descriptor], labels, images.modality)
        terms = []
        for value, name in enumerate(('visible', 'infrared')):
            # Of the images of one modality; the mean over both would weigh by their number.
            own = torch.from_numpy(images.modality == value).to(split.assignment.device)
            terms.append(Term('split', split.assignment.where(own, -1), loss=name))
        return PseudoLabels(
            labels,
            {'split': Prototypes(split.centroids, split.groups, self.descriptor)},
            terms,
            clusters)


def _positions(labels: np.ndarray, numbers: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the position of each label among ascending numbers, -1 outside of the rows."""
    kept = rows & (labels >= 0)
    unknown = np.setdiff1d(labels[kept], numbers)
    if len(unknown):
        raise InputError(f'a refinement gave images the label {unknown[0]}, which is no cluster '
                         'of their modality: use a plan that has prototypes for it')
    positions = np.full(len(labels), -1, dtype=np.int64)
    positions[kept] = np.searchsorted(numbers, labels[kept])
    return positions
