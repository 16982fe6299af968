"""P identities, K images of each modality, without replacement."""

from collections.abc import Iterable, Iterator, Sized

import numpy as np

from mmvireid.registry import DATA_SAMPLERS
from mmvireid.utils.errors import ConfigError

from .identity_sampler import CrossModalityIdentitySampler

#: Deals that are simulated to find the mean length of an epoch.
_SIMULATED_EPOCHS = 16


@DATA_SAMPLERS.register_module()
class CrossModalityChunkSampler(CrossModalityIdentitySampler):
    """Sample as CIFT does: deal out the images of each identity in chunks.

    A deal shuffles the images of each identity and modality and cuts them into
    chunks (``num_visible`` or ``num_infrared`` images; the rest of an identity is
    left for another deal; an identity with fewer images than one chunk fills it
    by repetition). Each step draws identities at random among those with chunks
    left in both modalities and takes one chunk of each. The deal ends when fewer
    identities are left than a step needs.

    How many steps a deal lasts is a matter of chance, but MMEngine fixes an
    epoch's length once. Here the length is the mean over 16 deals, played through
    with a generator of its own, so it depends on the numbers of images alone. An
    epoch that outlasts its deal begins another one; a longer deal is cut off.

    Args:
        dataset: a dataset with ``labels`` and ``modalities``.
        num_ids: identities per step and rank.
        num_visible: visible images per identity.
        num_infrared: infrared images per identity.
        seed: the runner's seed; None draws one that all ranks share.
        num_steps: steps of an epoch, instead of the mean length of a deal.

    Raises:
        DatasetError: if there are too few identities for a step.
    """

    def __init__(self,
                 dataset: Sized,
                 num_ids: int = 8,
                 num_visible: int = 4,
                 num_infrared: int = 4,
                 seed: int | None = None,
                 num_steps: int | None = None) -> None:
        if num_steps is not None and num_steps < 1:
            raise ConfigError(f'num_steps must be at least 1, got {num_steps}')
        self._wanted_steps = num_steps
        super().__init__(dataset, num_ids, num_visible, num_infrared, seed)

    def _count_steps(self) -> int:
        if self._wanted_steps is not None:
            return self._wanted_steps
        return int(np.floor(np.mean(self._simulated_lengths())))

    def _simulated_lengths(self) -> list[int]:
        """Simulate deals, whatever the seed, and count the steps of each."""
        rng = np.random.default_rng(0)
        return [sum(1 for _ in self._deal(rng)) for _ in range(_SIMULATED_EPOCHS)]

    def _deal(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the identities of each step of one deal, as positions."""
        left = np.array([
            min(max(len(v) // self.num_visible, 1), max(len(i) // self.num_infrared, 1))
            for v, i in zip(self.visible, self.infrared)
        ])
        while True:
            available = np.flatnonzero(left)
            if len(available) < self.global_num_ids:
                return
            chosen = rng.choice(available, size=self.global_num_ids, replace=False)
            left[chosen] -= 1
            yield chosen

    @staticmethod
    def _chunks(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """Shuffle and cut, shape ``(number of chunks, size)``."""
        if len(rows) < size:
            repeats = -(-size // len(rows))
            mixed = np.concatenate([rng.permutation(rows) for _ in range(repeats)])
            return mixed[None, :size]
        return rng.permutation(rows)[:len(rows) // size * size].reshape(-1, size)

    def _steps(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        done = 0
        while done < self.num_steps:
            for images in self._take(self._deal(rng), rng):
                yield images
                done += 1
                if done == self.num_steps:
                    return

    def _take(self, deal: Iterable[np.ndarray],
              rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the next chunks of the identities of each step."""
        visible = [self._chunks(rows, self.num_visible, rng) for rows in self.visible]
        infrared = [self._chunks(rows, self.num_infrared, rng) for rows in self.infrared]
        taken: list[int] = [0] * len(visible)
        for chosen in deal:
            yield (np.stack([visible[i][taken[i]] for i in chosen]),
                   np.stack([infrared[i][taken[i]] for i in chosen]))
            for i in chosen:
                taken[i] += 1
