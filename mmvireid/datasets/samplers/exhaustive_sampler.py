"""P identities, K images of each modality, none of them twice in an epoch."""

from collections.abc import Iterator, Sized

import numpy as np

from mmvireid.registry import DATA_SAMPLERS

from .chunk_sampler import CrossModalityChunkSampler


@DATA_SAMPLERS.register_module()
class CrossModalityExhaustiveSampler(CrossModalityChunkSampler):
    """Sample as MPANet does: one deal of the images is an epoch.

    The images of an identity make as many groups of ``num_visible`` and ``num_infrared``
    images as its rarer modality allows, drawn anew in each epoch, and each step takes one
    group of each of some random identities. The epoch ends when fewer identities are left
    than a step needs: after at most 186 steps on SYSU-MM01 with 16 identities and 4 + 4
    images, about a quarter of AGW's epoch (Wu et al., CVPR 2021, released code).

    Unlike a :class:`CrossModalityChunkSampler` it never begins a second deal, so no image
    comes twice. When a deal ends is a matter of chance, but MMEngine fixes an epoch's length
    once: it is that of the shortest of 16 deals, played through with a generator of its own,
    and an epoch whose deal would end before is dealt anew.

    An identity with fewer images than a group needs repeats them, once an epoch; the
    released code stops there.

    Args:
        dataset: a dataset with ``labels`` and ``modalities``.
        num_ids: identities per step and rank.
        num_visible: visible images per identity.
        num_infrared: infrared images per identity.
        seed: the runner's seed; None draws one that all ranks share.

    Raises:
        DatasetError: if there are too few identities for a step.

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmvireid.datasets import CrossModalityExhaustiveSampler
        >>> people = SimpleNamespace(
        ...     labels=[0] * 6 + [1] * 4, modalities=[0, 0, 0, 0, 1, 1, 0, 0, 1, 1])
        >>> sampler = CrossModalityExhaustiveSampler(
        ...     people, num_ids=2, num_visible=1, num_infrared=1, seed=0)
        >>> drawn = list(sampler)
        >>> len(drawn), len(set(drawn))
        (8, 8)
    """

    def __init__(self,
                 dataset: Sized,
                 num_ids: int = 16,
                 num_visible: int = 4,
                 num_infrared: int = 4,
                 seed: int | None = None) -> None:
        super().__init__(dataset, num_ids, num_visible, num_infrared, seed)

    def _count_steps(self) -> int:
        return min(self._simulated_lengths())

    def _steps(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        deal: list[np.ndarray] = []
        while len(deal) < self.num_steps:
            deal = list(self._deal(rng))
        yield from self._take(deal[:self.num_steps], rng)
