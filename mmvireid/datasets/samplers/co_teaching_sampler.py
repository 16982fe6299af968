"""Batches for several networks that are trained side by side, one after the other."""

from collections.abc import Iterator, Sized

import numpy as np

from mmvireid.registry import DATA_SAMPLERS
from mmvireid.structures import member_names
from mmvireid.utils.errors import ConfigError

from ..branch_index import BranchIndex
from .pk_sampler import CrossModalityPKSampler
from .shuffled_sampler import CrossModalityShuffledSampler


@DATA_SAMPLERS.register_module()
class CoTeachingSampler(CrossModalityPKSampler):
    """Give each member of a group of networks its own pass of batches in every epoch.

    An epoch is a pass for the first member, then one for the second and so on; each index
    knows whose it is (:class:`mmvireid.datasets.BranchIndex`), which tells
    :class:`mmvireid.models.CoTeachingReIdentifier` which member trains. A pass has the steps of
    :class:`CrossModalityPKSampler`, drawn anew for each member.

    The first epochs warm up: their batches come from shuffles of all images
    (:class:`CrossModalityShuffledSampler`), in the same order for all members, in the same
    number of steps. (DART, "Learning with Twin Noisy Labels for Visible-Infrared Person
    Re-Identification", CVPR 2022, and the second stage of MMM do so.)

    Args:
        dataset: a dataset with ``labels`` and ``modalities``.
        num_ids: identities per step and rank.
        num_visible: visible images per identity.
        num_infrared: infrared images per identity.
        seed: the runner's seed; None draws one that all ranks share.
        extra_step: take one step more in a pass, as released.
        num_steps: steps of a pass, instead of the number that the images ask for.
        min_images: leave out identities with fewer images than this of a modality: where labels
            are wrong, some are left with hardly any.
        num_members: networks that take turns.
        warmup_epochs: how many epochs, from the first, warm up.

    Raises:
        DatasetError: if there are too few identities for a step.
        ConfigError: if a number is too small.

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmvireid.datasets import CoTeachingSampler
        >>> people = SimpleNamespace(labels=[0, 0, 1, 1, 0, 1], modalities=[0, 0, 0, 0, 1, 1])
        >>> sampler = CoTeachingSampler(people, 2, num_visible=1, num_infrared=1, seed=0)
        >>> [index.branch for index in sampler][::4]  # two steps of four images for each member
        ['member_1', 'member_1', 'member_2', 'member_2']
    """

    allows_one_modality = False

    def __init__(self,
                 dataset: Sized,
                 num_ids: int = 8,
                 num_visible: int = 4,
                 num_infrared: int = 4,
                 seed: int | None = None,
                 extra_step: bool = False,
                 num_steps: int | None = None,
                 min_images: int = 1,
                 num_members: int = 2,
                 warmup_epochs: int = 1) -> None:
        if num_members < 1 or warmup_epochs < 0:
            raise ConfigError(
                'co-teaching needs num_members of at least 1 and warmup_epochs of at least 0, '
                f'got {num_members} and {warmup_epochs}')
        super().__init__(dataset, num_ids, num_visible, num_infrared, seed, extra_step,
                         num_steps, min_images)
        self.members = member_names(num_members)
        self.warmup_epochs = warmup_epochs
        self._shuffled = CrossModalityShuffledSampler(
            dataset, num_ids * num_visible, num_ids * num_infrared, self.seed, self.num_steps)

    def __iter__(self) -> Iterator[BranchIndex]:
        """Yield the image indices of this rank."""
        for number, name in enumerate(self.members):
            yield from (BranchIndex(index, name) for index in self._pass(number))

    def _pass(self, member: int) -> Iterator[int]:
        """Yield the images of one member."""
        if self.epoch < self.warmup_epochs:
            self._shuffled.seed, self._shuffled.epoch = self.seed, self.epoch
            return iter(self._shuffled)
        return self._indices(np.random.default_rng([self.seed, self.epoch, member]))

    def __len__(self) -> int:
        """Number of images of this rank in an epoch, of all members."""
        return super().__len__() * len(self.members)
