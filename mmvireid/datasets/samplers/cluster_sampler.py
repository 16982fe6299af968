"""Pseudo identities, a fixed number of steps per epoch."""

from typing import Dict, Iterator, List, Optional, Sequence, Sized, Tuple

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmvireid.registry import DATA_SAMPLERS
from mmvireid.structures import Modality
from mmvireid.utils.errors import DatasetError

from ..branch_index import BranchIndex


@DATA_SAMPLERS.register_module()
class ClusterSampler(Sampler):
    """Draw clusters of both modalities independently, and images of each cluster.

    For training on pseudo labels, which change every epoch: a hook calls
    :meth:`set_labels` before the epoch begins, and :meth:`__iter__` reads them. As
    clustering decides how many clusters there are, an epoch has a fixed number of
    steps and the clusters of a modality are gone through in a random order, then in
    another one, as often as needed.

    There may be several ways of labelling, called branches, whose batches take turns:
    with the turns ``('intra', 'cross')`` batches 0, 2, 4, ... are drawn from the clusters
    of the first and the others from those of the second, and an epoch has twice as many
    batches. Each index knows its branch (:class:`mmvireid.datasets.BranchIndex`).

    Of each cluster an image is drawn, then ``num_instances - 1`` images of its other
    cameras, or of all others when the cluster knows one camera only or
    ``camera_aware`` is off; without replacement if there are enough, otherwise with.
    A cluster of a single image repeats it, so that a batch keeps its shape (the
    released code yields it once, which shifts all batches after it).

    One step of a rank is ``num_visible_clusters * num_instances`` visible images,
    id-contiguous, then the infrared ones; the data loader's batch size is their sum.
    Ranks take contiguous shares of the clusters of one global step.

    Args:
        dataset: a dataset with ``modalities`` and ``cameras``.
        num_visible_clusters: visible clusters per step and rank; 0 for none.
        num_infrared_clusters: infrared clusters per step and rank; 0 for none.
        num_instances: images per cluster.
        num_steps: steps of an epoch, each with one batch per turn.
        turns: names of the branches whose batches take turns; a branch may have several.
        camera_aware: whether to prefer images of other cameras.
        seed: the runner's seed; None draws one that all ranks share.
    """

    def __init__(self,
                 dataset: Sized,
                 num_visible_clusters: int = 8,
                 num_infrared_clusters: int = 8,
                 num_instances: int = 16,
                 num_steps: int = 200,
                 turns: Sequence[str] = ('', ),
                 camera_aware: bool = True,
                 seed: Optional[int] = None) -> None:
        clusters = (num_visible_clusters, num_infrared_clusters)
        if min(clusters) < 0 or max(clusters) < 1 or min(num_instances, num_steps) < 1:
            raise ValueError(
                'a step needs clusters and images: num_visible_clusters, num_infrared_clusters, '
                f'num_instances and num_steps are {clusters[0]}, {clusters[1]}, '
                f'{num_instances} and {num_steps}')
        self.dataset = dataset
        self.num_clusters = {Modality.VISIBLE: clusters[0], Modality.INFRARED: clusters[1]}
        self.num_instances = num_instances
        self.num_steps = num_steps
        self.camera_aware = camera_aware
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.set_turns(turns)
        self.labels: Dict[str, np.ndarray] = {}

    def set_turns(self, turns: Sequence[str]) -> None:
        """Set from which branches the batches are drawn in turn.

        Args:
            turns: names of branches; a branch may have several turns.

        Raises:
            ValueError: if there is none.
        """
        if not turns:
            raise ValueError('the batches of an epoch need at least one branch')
        self.turns: Tuple[str, ...] = tuple(turns)

    def set_labels(self, labels: np.ndarray, branch: str = '') -> None:
        """Set the pseudo labels of the epochs to come.

        Args:
            labels: shape ``(N,)`` int, the cluster of each image of the dataset, -1
                for images that are not to be used. Visible and infrared clusters may
                carry the same numbers; they are told apart by the modality.
            branch: the branch whose labels they are.

        Raises:
            ValueError: if there is not one label per image.
        """
        labels = np.asarray(labels)
        if labels.shape != (len(self.dataset), ):
            raise ValueError(
                f'{len(self.dataset)} images need as many pseudo labels, got an array of shape '
                f'{labels.shape}')
        self.labels[branch] = labels.copy()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that, with the seed, decides what is drawn.

        Args:
            epoch: number of the epoch, from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of images of this rank in an epoch."""
        return (self.num_steps * len(self.turns) * self.num_instances
                * sum(self.num_clusters.values()))

    def __iter__(self) -> Iterator[BranchIndex]:
        """Yield the image indices of this rank."""
        missing = [name for name in self.turns if name not in self.labels]
        if missing:
            raise RuntimeError(
                'ClusterSampler has no pseudo labels: a hook must call set_labels before the '
                'first epoch')
        streams = {
            name: [
                self._modality_steps(name, modality, number)
                for modality, number in self.num_clusters.items() if number
            ]
            for name in self.turns
        }
        for _ in range(self.num_steps):
            for name in self.turns:
                for stream in streams[name]:
                    yield from (BranchIndex(index, name) for index in next(stream))

    def _modality_steps(self, branch: str, modality: Modality,
                        number: int) -> Iterator[List[int]]:
        """Yield this rank's images of one modality, step after step, without end."""
        key = [self.seed, self.epoch, int(modality), *branch.encode()]
        rng = np.random.default_rng(key)
        clusters = self._members(self.labels[branch], modality)
        if not clusters:
            raise DatasetError(
                f'the clustering found no {modality.name.lower()} cluster: check its eps and '
                'min_samples, or that the starting weights are loaded')
        per_step = number * self.world_size
        names = np.array(sorted(clusters))
        order = np.empty(0, dtype=names.dtype)
        while True:
            if len(names) >= per_step:
                if len(order) < per_step:  # the rest of an order is dropped
                    order = rng.permutation(names)
            else:
                while len(order) < per_step:
                    order = np.concatenate([order, rng.permutation(names)])
            chosen, order = order[:per_step], order[per_step:]
            # All ranks draw all images, so that their generators stay in step.
            drawn = [self._instances(clusters[name], rng) for name in chosen.tolist()]
            share = drawn[self.rank * number:(self.rank + 1) * number]
            yield np.concatenate(share).tolist()

    def _members(self, labels: np.ndarray, modality: Modality) -> Dict[int, np.ndarray]:
        """List the images of each cluster of a modality."""
        rows = np.flatnonzero((np.asarray(self.dataset.modalities) == modality) & (labels >= 0))
        rows = rows[np.argsort(labels[rows], kind='stable')]
        names, starts = np.unique(labels[rows], return_index=True)
        return dict(zip(names.tolist(), np.split(rows, starts[1:])))

    def _instances(self, members: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the images of one cluster, shape ``(num_instances,)``."""
        first = int(rng.integers(len(members)))
        others = np.delete(members, first)
        if self.camera_aware:
            cameras = np.asarray(self.dataset.cameras)
            elsewhere = others[cameras[others] != cameras[members[first]]]
            others = elsewhere if len(elsewhere) else others
        if not len(others):
            return np.repeat(members, self.num_instances)
        wanted = self.num_instances - 1
        rest = rng.choice(others, wanted, replace=len(others) < wanted)
        return np.concatenate([members[first:first + 1], rest])
