"""Pseudo identities, a fixed number of steps per epoch."""

from collections.abc import Iterator, Mapping, Sequence, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmvireid.registry import DATA_SAMPLERS
from mmvireid.structures import Modality, PseudoLabels
from mmvireid.utils.errors import ConfigError, DatasetError, InputError, UsageError

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
    batches. A branch without labels in an epoch leaves its turns to the first that has
    some. Each index knows its branch (:class:`mmvireid.datasets.BranchIndex`).

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
        turns: names of the branches from which batches are drawn in turn; a branch may have
            several turns.
        num_visible_clusters: visible clusters per step and rank; 0 for none.
        num_infrared_clusters: infrared clusters per step and rank; 0 for none.
        num_instances: images per cluster.
        num_steps: steps of an epoch, each with one batch per turn.
        camera_aware: whether to prefer images of other cameras.
        seed: the runner's seed; None draws one that all ranks share.

    Raises:
        ConfigError: if there is no turn, or nothing to draw in a step.
    """

    def __init__(self,
                 dataset: Sized,
                 turns: Sequence[str],
                 num_visible_clusters: int = 8,
                 num_infrared_clusters: int = 8,
                 num_instances: int = 16,
                 num_steps: int = 200,
                 camera_aware: bool = True,
                 seed: int | None = None) -> None:
        clusters = (num_visible_clusters, num_infrared_clusters)
        if min(clusters) < 0 or max(clusters) < 1 or min(num_instances, num_steps) < 1:
            raise ConfigError(
                'a step needs clusters and images: num_visible_clusters, num_infrared_clusters, '
                f'num_instances and num_steps are {clusters[0]}, {clusters[1]}, '
                f'{num_instances} and {num_steps}')
        if isinstance(turns, str) or not turns:
            raise ConfigError('turns must list at least one branch, for example ["intra"], got '
                              f'{turns!r}')
        self.dataset = dataset
        self.turns = tuple(turns)
        self.num_clusters = {Modality.VISIBLE: clusters[0], Modality.INFRARED: clusters[1]}
        self.num_instances = num_instances
        self.num_steps = num_steps
        self.camera_aware = camera_aware
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self._labels: dict[str, np.ndarray] = {}

    def set_labels(self, found: Mapping[str, PseudoLabels]) -> None:
        """Set the pseudo labels of the epochs to come.

        Args:
            found: branch -> its labels of shape ``(N,)``, the cluster of each image of the
                dataset, -1 for images that are not to be used; of the branches that have
                any. Visible and infrared clusters may carry the same numbers; they are
                told apart by the modality.

        Raises:
            InputError: if there is not one label per image, or no turn has labels.
        """
        for name, pseudo in found.items():
            if np.shape(pseudo.labels) != (len(self.dataset), ):
                raise InputError(
                    f'{len(self.dataset)} images need as many pseudo labels, got an array of '
                    f'shape {np.shape(pseudo.labels)} for branch "{name}"')
        if not set(found) & set(self.turns):
            raise InputError(f'none of the turns {list(self.turns)} has labels, only '
                             f'{sorted(found)}')
        self._labels = {name: np.array(pseudo.labels) for name, pseudo in found.items()}

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
        if not self._labels:
            raise UsageError(
                'ClusterSampler has no pseudo labels: a hook must call set_labels before the '
                'first epoch')
        substitute = next(name for name in self.turns if name in self._labels)
        turns = [name if name in self._labels else substitute for name in self.turns]
        streams = {
            name: [
                self._modality_steps(name, modality, number)
                for modality, number in self.num_clusters.items() if number
            ]
            for name in turns
        }
        for _ in range(self.num_steps):
            for name in turns:
                for stream in streams[name]:
                    yield from (BranchIndex(index, name) for index in next(stream))

    def _modality_steps(self, branch: str, modality: Modality,
                        number: int) -> Iterator[list[int]]:
        """Yield this rank's images of one modality, step after step, without end."""
        key = [self.seed, self.epoch, int(modality), *branch.encode()]
        rng = np.random.default_rng(key)
        clusters = self._members(self._labels[branch], modality)
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

    def _members(self, labels: np.ndarray, modality: Modality) -> dict[int, np.ndarray]:
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
