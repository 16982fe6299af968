"""The two directions of LLCM."""

from typing import Any

from mmvireid.evaluation.functional.protocols import llcm_trial
from mmvireid.registry import METRICS
from mmvireid.structures import ImageSet
from mmvireid.utils.errors import ConfigError

from .base import CrossModalityMetric, Trial


@METRICS.register_module()
class LLCMMetric(CrossModalityMetric):
    """Search a gallery of one image per identity and camera, as on LLCM.

    An identity under the query's own camera is dropped; CMC counts identities.

    Args:
        num_trials: number of random galleries, 10 in the published tables.
        task: 'paper' searches every image of the query modality; 'repo' repeats the
            released visible-to-infrared evaluation, which swaps queries and gallery and
            is another task (:func:`mmvireid.evaluation.functional.protocols.llcm_trial`).
        **kwargs: those of :class:`CrossModalityMetric`; settings are ``v2i`` (visible
            query, infrared gallery) and ``i2v``.
    """

    protocol = 'llcm'
    default_prefix = 'llcm'
    SETTINGS = {
        'v2i': 'LLCM, visible query, infrared gallery',
        'i2v': 'LLCM, infrared query, visible gallery',
    }

    def __init__(self, num_trials: int = 10, task: str = 'paper', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if task not in ('paper', 'repo'):
            raise ConfigError(f'task is "paper" or "repo", not "{task}"')
        self.num_trials = num_trials
        self.task = task

    def trials(self, images: ImageSet, setting: str) -> list[Trial]:
        """Draw the gallery of each trial."""
        return [
            Trial(
                f'{trial}',
                *llcm_trial(
                    images.identity,
                    images.camera,
                    images.modality,
                    images.img_path,
                    direction=setting,
                    trial=trial,
                    protocol=self.task)) for trial in range(self.num_trials)
        ]
