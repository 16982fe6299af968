"""All images in random order, visible and infrared ones mixed in fixed numbers."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmvireid.registry import DATA_SAMPLERS
from mmvireid.structures import Modality
from mmvireid.utils.errors import ConfigError, DatasetError


@DATA_SAMPLERS.register_module()
class CrossModalityShuffledSampler(Sampler):
    """Go through the labelled images of each modality in an order of its own.

    Identities play no part: a step is the next ``num_visible`` images of a shuffle of the
    visible ones and the next ``num_infrared`` of a shuffle of the infrared ones. A modality
    that runs out is shuffled anew. So every step holds both modalities in the same numbers, as
    batch normalisation that both share wants it, and an epoch all images at least once.

    All ranks draw the same global steps, from the seed and the epoch alone, and each takes its
    contiguous share.

    Args:
        dataset: a dataset with ``labels`` and ``modalities``; images without a label are left
            out.
        num_visible: visible images per step and rank.
        num_infrared: infrared images per step and rank.
        seed: the runner's seed; None draws one that all ranks share.
        num_steps: steps of an epoch; None for as many as it takes to see every image.

    Raises:
        ConfigError: if a number is below 1.
        DatasetError: if a modality has no labelled image.

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmvireid.datasets import CrossModalityShuffledSampler
        >>> people = SimpleNamespace(labels=[0, 1, 2, 0, 1], modalities=[0, 0, 0, 1, 1])
        >>> sampler = CrossModalityShuffledSampler(people, num_visible=1, num_infrared=1, seed=0)
        >>> drawn = list(sampler)  # three steps of a visible and an infrared image
        >>> sorted(drawn[0::2]), len(set(drawn[1::2]))
        ([0, 1, 2], 2)
    """

    def __init__(self,
                 dataset: Sized,
                 num_visible: int = 32,
                 num_infrared: int = 32,
                 seed: int | None = None,
                 num_steps: int | None = None) -> None:
        if min(num_visible, num_infrared) < 1 or (num_steps is not None and num_steps < 1):
            raise ConfigError(
                'num_visible, num_infrared and num_steps must be at least 1; got '
                f'{num_visible}, {num_infrared} and {num_steps}')
        self.rank, self.world_size = get_dist_info()
        self.numbers = (num_visible, num_infrared)
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        labels, modalities = np.asarray(dataset.labels), np.asarray(dataset.modalities)
        self._rows = [np.flatnonzero((modalities == m) & (labels >= 0)) for m in Modality]
        for modality, rows in zip(Modality, self._rows):
            if not len(rows):
                raise DatasetError(
                    f'the dataset has no {modality.name.lower()} image with a label, but a step '
                    'needs both modalities: check its annotations')
        self.num_steps = num_steps or max(
            -(-len(rows) // (number * self.world_size))
            for rows, number in zip(self._rows, self.numbers))

    def __iter__(self) -> Iterator[int]:
        """Yield the image indices of this rank."""
        # A key for each modality, and longer than that of other samplers with the same seed.
        streams = [
            self._stream(rows, number, np.random.default_rng([self.seed, self.epoch, m, 1]))
            for m, (rows, number) in enumerate(zip(self._rows, self.numbers))
        ]
        for _ in range(self.num_steps):
            for stream in streams:
                yield from next(stream).tolist()

    def _stream(self, rows: np.ndarray, number: int,
                rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield this rank's images of one modality, step after step, without end."""
        per_step, order = number * self.world_size, rows[:0]
        while True:
            while len(order) < per_step:
                order = np.concatenate([order, rng.permutation(rows)])
            yield order[self.rank * number:(self.rank + 1) * number]
            order = order[per_step:]

    def __len__(self) -> int:
        """Number of images of this rank in an epoch."""
        return self.num_steps * sum(self.numbers)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that, with the seed, decides what is drawn.

        Args:
            epoch: number of the epoch, from 0.
        """
        self.epoch = epoch
