"""P identities, K images of each modality, with replacement."""

from typing import Iterator, Tuple

import numpy as np

from mmvireid.registry import DATA_SAMPLERS

from .identity_sampler import CrossModalityIdentitySampler


@DATA_SAMPLERS.register_module()
class CrossModalityPKSampler(CrossModalityIdentitySampler):
    """Sample as AGW does (Ye et al., TPAMI 2021).

    Each step draws identities without replacement and, for each, images of both
    modalities with replacement. An epoch has as many steps as it takes to draw as
    many images as the larger modality has, rounded down: 695 on SYSU-MM01 and 64
    on RegDB with 8 identities and 4 + 4 images.

    Args:
        dataset: a dataset with ``labels`` and ``modalities``.
        num_ids: identities per step and rank.
        num_visible: visible images per identity.
        num_infrared: infrared images per identity.
        seed: the runner's seed; None draws one that all ranks share.

    Raises:
        DatasetError: if there are too few identities for a step.
    """

    def _count_steps(self) -> int:
        steps = max(
            sum(map(len, self.visible)) // (self.global_num_ids * self.num_visible),
            sum(map(len, self.infrared)) // (self.global_num_ids * self.num_infrared))
        return max(steps, 1)

    def _steps(self, rng: np.random.Generator) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        for _ in range(self.num_steps):
            chosen = rng.choice(len(self.visible), size=self.global_num_ids, replace=False)
            yield (np.stack([rng.choice(self.visible[i], self.num_visible) for i in chosen]),
                   np.stack([rng.choice(self.infrared[i], self.num_infrared) for i in chosen]))
