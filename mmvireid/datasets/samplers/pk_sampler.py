"""P identities, K images of each modality, with replacement."""

from collections.abc import Iterator, Sized

import numpy as np

from mmvireid.registry import DATA_SAMPLERS
from mmvireid.utils.errors import ConfigError

from .identity_sampler import CrossModalityIdentitySampler


@DATA_SAMPLERS.register_module()
class CrossModalityPKSampler(CrossModalityIdentitySampler):
    """Sample as AGW does (Ye et al., TPAMI 2021).

    Each step draws identities without replacement and, for each, images of both
    modalities with replacement. An epoch has as many steps as it takes to draw as
    many images as the larger modality has, rounded down: 695 on SYSU-MM01 and 64
    on RegDB with 8 identities and 4 + 4 images. The loaders of the released code take one
    step more than that, 696 and 65, which ``extra_step`` adds; the published recipes of
    AGW and its descendants set it.

    With no image of one modality per identity a network is trained on the other
    alone, and identities need images of that one only.

    Args:
        dataset: a dataset with ``labels`` and ``modalities``.
        num_ids: identities per step and rank.
        num_visible: visible images per identity; 0 for none.
        num_infrared: infrared images per identity; 0 for none.
        seed: the runner's seed; None draws one that all ranks share.
        extra_step: take one step more, as released.
        num_steps: steps of an epoch, instead of the number that the images ask for.
        min_images: leave out identities with fewer images than this of a modality that is
            drawn.

    Raises:
        DatasetError: if there are too few identities for a step.
        ConfigError: if a number is below 1.

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmvireid.datasets import CrossModalityPKSampler
        >>> people = SimpleNamespace(labels=[0, 0, 1, 1, 0, 1], modalities=[0, 0, 0, 0, 1, 1])
        >>> images = dict(num_visible=2, num_infrared=1)  # of each person
        >>> sampler = CrossModalityPKSampler(people, num_ids=2, **images, seed=0)
        >>> step = list(sampler)[:6]  # four visible images, person after person, then two infrared
        >>> [people.modalities[image] for image in step]
        [0, 0, 0, 0, 1, 1]
    """

    allows_one_modality = True

    def __init__(self,
                 dataset: Sized,
                 num_ids: int = 8,
                 num_visible: int = 4,
                 num_infrared: int = 4,
                 seed: int | None = None,
                 extra_step: bool = False,
                 num_steps: int | None = None,
                 min_images: int = 1) -> None:
        if num_steps is not None and num_steps < 1:
            raise ConfigError(f'num_steps must be at least 1, got {num_steps}')
        self.extra_step = extra_step
        self._wanted_steps = num_steps
        super().__init__(dataset, num_ids, num_visible, num_infrared, seed, min_images)

    def _count_steps(self) -> int:
        if self._wanted_steps is not None:
            return self._wanted_steps
        drawn = ((self.visible, self.num_visible), (self.infrared, self.num_infrared))
        steps = [
            sum(map(len, images)) // (self.global_num_ids * number) for images, number in drawn
            if number
        ]
        return max(1, max(steps) + self.extra_step)

    def _steps(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for _ in range(self.num_steps):
            chosen = rng.choice(len(self.visible), size=self.global_num_ids, replace=False)
            yield (np.stack([rng.choice(self.visible[i], self.num_visible) for i in chosen]),
                   np.stack([rng.choice(self.infrared[i], self.num_infrared) for i in chosen]))
