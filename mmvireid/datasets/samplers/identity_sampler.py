"""What the samplers of identities share."""

from abc import abstractmethod
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.logging import print_log
from torch.utils.data import Sampler

from mmvireid.structures import Modality
from mmvireid.utils.errors import ConfigError, DatasetError


class CrossModalityIdentitySampler(Sampler):
    """Draw identities, and images of both modalities for each.

    One step of a rank is, in this order: ``num_visible`` images of the first
    identity, of the second and so on, then ``num_infrared`` images of the first
    identity and so on. The stream is flat: the data loader's batch size is
    ``num_ids * (num_visible + num_infrared)``, per rank.

    All ranks draw the same global step of ``num_ids * world_size`` identities,
    from the seed and the epoch alone, and each takes its contiguous share. Two
    ranks of 4 identities so train on exactly the batches of one rank of 8, and a
    resumed run on those of an unbroken one. The length never changes, because
    MMEngine fixes schedules and progress from it once.

    Args:
        dataset: a dataset with ``labels`` and ``modalities``.
        num_ids: identities per step and rank.
        num_visible: visible images per identity.
        num_infrared: infrared images per identity.
        seed: the runner's seed; None draws one that all ranks share.
        min_images: leave out identities with fewer images than this of a modality that is
            drawn.

    Raises:
        DatasetError: if fewer identities than a global step needs have images of
            the modalities that are drawn.
    """

    #: Whether a number of images may be 0, which leaves that modality out.
    allows_one_modality = False

    def __init__(self,
                 dataset: Sized,
                 num_ids: int = 8,
                 num_visible: int = 4,
                 num_infrared: int = 4,
                 seed: int | None = None,
                 min_images: int = 1) -> None:
        images = (num_visible, num_infrared)
        if num_ids < 1 or max(images) < 1 or min(images) < 1 - self.allows_one_modality:
            one_of = ', and one of the others may be 0' if self.allows_one_modality else ''
            raise ConfigError(
                f'num_ids, num_visible and num_infrared must be at least 1{one_of}; got '
                f'{num_ids}, {num_visible} and {num_infrared}')
        self.dataset = dataset
        self.num_ids = num_ids
        self.num_visible = num_visible
        self.num_infrared = num_infrared
        if min_images < 1:
            raise ConfigError(f'min_images must be at least 1, got {min_images}')
        self.min_images = min_images
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.visible, self.infrared = self._index()
        self.global_num_ids = num_ids * self.world_size
        if len(self.visible) < self.global_num_ids:
            wanted = [m.name.lower() for m, number in zip(Modality, images) if number]
            kind = 'both modalities' if len(wanted) == 2 else f'the {wanted[0]} modality'
            some = '' if self.min_images == 1 else f'at least {self.min_images} '
            raise DatasetError(
                f'a step needs {self.global_num_ids} identities with {some}images of {kind} but '
                f'the dataset has {len(self.visible)}: lower num_ids of the sampler (and '
                'batch_size with it) or add images')
        self.num_steps = self._count_steps()

    def _index(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """List the images of each identity that has all modalities that are drawn."""
        labels = np.asarray(self.dataset.labels)
        modalities = np.asarray(self.dataset.modalities)
        visible, infrared, lonely = [], [], 0
        for label in np.unique(labels[labels >= 0]):
            of_label = labels == label
            rows_visible = np.flatnonzero(of_label & (modalities == Modality.VISIBLE))
            rows_infrared = np.flatnonzero(of_label & (modalities == Modality.INFRARED))
            if ((len(rows_visible) >= self.min_images or not self.num_visible)
                    and (len(rows_infrared) >= self.min_images or not self.num_infrared)):
                visible.append(rows_visible)
                infrared.append(rows_infrared)
            else:
                lonely += 1
        if lonely:
            lack = ('that lack' if self.min_images == 1 else
                    f'with fewer than {self.min_images}')
            print_log(
                f'{type(self).__name__} leaves out {lonely} identities {lack} images of a '
                'modality', 'current')
        return visible, infrared

    @abstractmethod
    def _count_steps(self) -> int:
        """Return the fixed number of steps of an epoch."""

    @abstractmethod
    def _steps(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield, ``num_steps`` times, the visible and infrared images of a global step.

        Args:
            rng: generator of this epoch, the same on all ranks.

        Yields:
            Arrays of shape ``(global_num_ids, num_visible)`` and
            ``(global_num_ids, num_infrared)``.
        """

    def __iter__(self) -> Iterator[int]:
        """Yield the image indices of this rank."""
        return self._indices(np.random.default_rng([self.seed, self.epoch]))

    def _indices(self, rng: np.random.Generator) -> Iterator[int]:
        """Yield this rank's share of what a generator, the same on all ranks, decides."""
        share = slice(self.rank * self.num_ids, (self.rank + 1) * self.num_ids)
        for visible, infrared in self._steps(rng):
            yield from visible[share].ravel().tolist()
            yield from infrared[share].ravel().tolist()

    def __len__(self) -> int:
        """Number of images of this rank in an epoch."""
        return self.num_steps * self.num_ids * (self.num_visible + self.num_infrared)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that, with the seed, decides what is drawn.

        Args:
            epoch: number of the epoch, from 0.
        """
        self.epoch = epoch
