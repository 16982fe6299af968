"""What a labelling of the training set gives to the sampler and to the head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from torch import Tensor

from mmvireid.utils.errors import InputError


@dataclass(frozen=True, eq=False)
class Prototypes:
    """What a memory starts an epoch with.

    Args:
        centroids: shape ``(K, D)``, the first prototypes, of any length.
        groups: shape ``(K,)`` int64, the cluster of each prototype where a cluster has
            several, otherwise None.
        descriptor: name of the features that the memory compares images by.
        normalize: scale the prototypes to unit length. Without, a row keeps its length
            until its first update.
    """

    centroids: Tensor
    groups: Tensor | None = None
    descriptor: str = 'base'
    normalize: bool = True

    @property
    def num_clusters(self) -> int:
        """Number of clusters that the prototypes stand for."""
        return len(self.centroids) if self.groups is None else len(self.groups.unique())


@dataclass(frozen=True, eq=False)
class Term:
    """One comparison of images with a memory: a part of the loss.

    The terms of a step are listed in the order in which their images move the memories, so
    images that are compared with the memory of the other modality come first. All losses
    are those of the memories before the step.

    Args:
        memory: name of the memory.
        targets: shape ``(N,)`` int64, the prototype of each image of the dataset, -1 for
            images that have no part in this term.
        loss: name of the loss. None makes one for the visible and one for the infrared
            images, named after them, each the mean over its own images.
        weight: factor of the loss.
        moves: whether the images move the memory, each its target.
        soft_targets: shape ``(N, K)``, rows to use instead of the one-hot targets, which
            still say who has a part and what moves; None for the targets themselves.
        image_weights: shape ``(N,)`` float, factor of each image's loss; None for 1.

    Examples:
        Visible images compared with infrared prototypes, which they also move:

        >>> import torch
        >>> from mmvireid.structures import Term
        >>> partner_of_cluster = torch.tensor([2, 0, -1])  # infrared cluster of each visible one
        >>> clusters = torch.tensor([0, 0, 1, 2, 2])  # of five visible images
        >>> term = Term('infrared', partner_of_cluster[clusters], loss='cross', weight=0.25)
        >>> term.targets
        tensor([ 2,  2,  0, -1, -1])
    """

    memory: str
    targets: Tensor
    loss: str | None = None
    weight: float = 1.0
    moves: bool = True
    soft_targets: sparse.csr_matrix | None = None
    image_weights: Tensor | None = None


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """The pseudo labels of a branch in one epoch, and what is to be learned from them.

    Args:
        labels: shape ``(N,)`` int64, the cluster from which the sampler draws each image of
            the dataset, -1 for images that are not to be used. Equal numbers always mean
            the same cluster, whatever the modality.
        prototypes: memory name -> what it starts the epoch with.
        terms: the parts of the loss, in the order in which they move the memories.
        clusters: shape ``(N,)`` int64, the clusters as they were found, before any
            refinement: what a later epoch whose clustering fails begins from. None if they
            are the labels.
        considered: shape ``(N,)`` bool, False for images that were left out before the
            clustering; None for all.
        separate: whether each modality was clustered by itself.
        problem: why nothing can be learned from these labels, None if something can.
        joined: shape ``(N,)`` int64, the clusters that the matching of separate clusters
            makes of both modalities, -1 for images in none; for the record. None without a
            matching.
        notes: numbers about how the labels were made, by name, for the record.
        seconds: how long single steps took, by name, for the record.

    Raises:
        InputError: if a term names a memory without prototypes.
    """

    labels: np.ndarray
    prototypes: Mapping[str, Prototypes] = field(default_factory=dict)
    terms: Sequence[Term] = ()
    clusters: np.ndarray | None = None
    considered: np.ndarray | None = None
    separate: bool = False
    problem: str | None = None
    joined: np.ndarray | None = None
    notes: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for term in self.terms:
            if term.memory not in self.prototypes:
                raise InputError(f'a term compares images with the memory "{term.memory}", which '
                                 f'has no prototypes; there are {sorted(self.prototypes)}')

    @property
    def failure(self) -> str | None:
        """Why nothing can be learned: the problem, or a memory with nothing to tell apart."""
        if self.problem is not None:
            return self.problem
        for name, prototypes in self.prototypes.items():
            if prototypes.num_clusters < 2:
                return f'there is only {prototypes.num_clusters} cluster in the memory "{name}"'
        return None
