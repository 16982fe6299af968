"""An epoch of pseudo labels: cluster, refine, match, plan."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmvireid.registry import LABELLERS, TASK_UTILS
from mmvireid.structures import ImageSet, PseudoLabels
from mmvireid.utils.processes import main_process_computes

from .matching import ClusterMatch, join_matched


class Labeller(ABC):
    """Make the pseudo labels of a branch.

    A method whose labels are not made by :class:`ClusterLabeller`'s four steps brings a
    labeller of its own. Labels have to be a function of the arguments alone, so that a
    resumed run makes those of an unbroken one; with several processes all of them call,
    with the same arguments, and have to end with the same labels.
    """

    @abstractmethod
    def __call__(self, images: ImageSet, epoch: int, rng: np.random.Generator,
                 before: Mapping[str, PseudoLabels]) -> PseudoLabels:
        """Make the labels of an epoch.

        Args:
            images: the N images of the training set, with their descriptors; identities
                are -1, and nobody may learn from them.
            epoch: number of the epoch, from 0.
            rng: random numbers, from the seed and the epoch; each branch gets the same.
            before: what earlier branches have made in this epoch.

        Returns:
            PseudoLabels: the labels, or the ``problem`` that there are none.
        """

    @abstractmethod
    def from_clusters(self, images: ImageSet, clusters: np.ndarray, epoch: int) -> PseudoLabels:
        """Make labels of given clusters, those of an earlier epoch after a failed clustering.

        Args:
            images: the N images of the training set, with their descriptors of this epoch.
            clusters: shape ``(N,)`` int64, as ``PseudoLabels.clusters``.
            epoch: number of the epoch, from 0.

        Returns:
            PseudoLabels: the labels.
        """


@LABELLERS.register_module()
class ClusterLabeller(Labeller):
    """Cluster, refine the labels, match the clusters of the modalities, plan the memories.

    Each step is a registered part (``TASK_UTILS``):

    * ``partition(images, rng, before) -> Partition``: which images are clustered together,
      and by which rule;
    * ``refine(images, labels) -> labels``, any number, one after the other: correct the
      labels of single images. -1 stays possible, numbers stay those of the clusters;
    * ``associate(images, clusters) -> ClusterMatch``: the partner of each cluster in the
      other modality;
    * ``plan(images, clusters, labels, match, epoch) -> PseudoLabels``: prototypes, and which
      images are compared with them.

    Clusters, refinements and matches are computed on the main process, for all.

    The labels carry notes for the record: how many images the refinements have ``relabelled``
    and how many clusters they have ``emptied``, how many clusters of each modality have a
    partner (``matched visible``, ``matched infrared``), and what the match and the plan have
    to say themselves.

    Args:
        partition: config of the first step.
        plan: config of the last one.
        refine: configs of refinements.
        associate: config of the matching; None for no matching.
    """

    def __init__(self,
                 partition: dict,
                 plan: dict,
                 refine: Sequence[dict] = (),
                 associate: dict | None = None) -> None:
        self.partition = TASK_UTILS.build(partition)
        self.refine = [TASK_UTILS.build(part) for part in refine]
        self.associate = None if associate is None else TASK_UTILS.build(associate)
        self.plan = TASK_UTILS.build(plan)

    def __call__(self, images: ImageSet, epoch: int, rng: np.random.Generator,
                 before: Mapping[str, PseudoLabels]) -> PseudoLabels:
        """Make the labels of an epoch, see :class:`Labeller`."""
        found = self.partition(images, rng, before)
        problem = found.problem(images.modality)
        # No later step need cope with a modality that has no cluster.
        made = (PseudoLabels(found.labels, problem=problem) if problem else
                self.from_clusters(images, found.labels, epoch))
        return replace(made, clusters=found.labels, considered=found.considered,
                       separate=found.separate)

    def from_clusters(self, images: ImageSet, clusters: np.ndarray, epoch: int) -> PseudoLabels:
        """Refine, match and plan, see :class:`Labeller`."""
        def refined_and_matched() -> tuple[np.ndarray, ClusterMatch | None, float]:
            labels = clusters
            for refine in self.refine:
                labels = refine(images, labels)
            start = time.perf_counter()
            match = self.associate(images, clusters) if self.associate else None
            return labels, match, time.perf_counter() - start

        labels, match, seconds = main_process_computes(refined_and_matched)
        made = self.plan(images, clusters, labels, match, epoch)
        notes = {}
        if self.refine:
            notes = {'relabelled': int((labels != clusters).sum()),
                     'emptied': len(np.setdiff1d(clusters, labels))}
        if match is None:
            return replace(made, notes={**notes, **made.notes})
        notes |= {'matched visible': int((match.visible_to_infrared >= 0).sum()),
                  'matched infrared': int((match.infrared_to_visible >= 0).sum())}
        return replace(made, joined=join_matched(clusters, images.modality, match, labels),
                       notes={**notes, **match.notes, **made.notes}, seconds={'match': seconds})
