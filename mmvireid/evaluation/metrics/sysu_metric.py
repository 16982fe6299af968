"""The search modes of SYSU-MM01."""

from pathlib import Path
from typing import Any

from mmvireid.evaluation.functional.protocols import load_sysu_permutations, sysu_trial
from mmvireid.registry import METRICS
from mmvireid.structures import ImageSet
from mmvireid.utils.errors import ConfigError

from .base import CrossModalityMetric, Trial


@METRICS.register_module()
class SYSUMetric(CrossModalityMetric):
    """Search the visible gallery of SYSU-MM01 with every infrared image.

    All- and indoor-search, single- and multi-shot; queries of camera 3 do not see
    gallery camera 2; CMC counts identities. The galleries of all trials are slices of
    the test set (Wu et al., ICCV 2017; rules in
    :mod:`mmvireid.evaluation.functional.protocols`).

    Args:
        num_trials: number of random galleries, 10 in every published table.
        gallery_source: 'random_seed', as in most repositories, or 'official', the
            permutations that come with the data. Numbers of the two are not comparable.
        permutation_file: for 'official'; ``exp/rand_perm_cam.mat`` of the tested dataset
            when None.
        **kwargs: those of :class:`CrossModalityMetric`; settings are ``all_single``,
            ``all_multi``, ``indoor_single`` and ``indoor_multi``.

    Examples:
        >>> metric = dict(
        ...     type='SYSUMetric', settings=['all_single'], num_trials=10,
        ...     rankings=dict(
        ...         base=dict(descriptor='base'),
        ...         rerank=dict(descriptor='base', post=[dict(type='KReciprocalReRanking')])))
    """

    protocol = 'sysu'
    default_prefix = 'sysu'
    SETTINGS = {
        'all_single': 'SYSU-MM01, all-search, single-shot',
        'all_multi': 'SYSU-MM01, all-search, multi-shot',
        'indoor_single': 'SYSU-MM01, indoor-search, single-shot',
        'indoor_multi': 'SYSU-MM01, indoor-search, multi-shot',
    }

    def __init__(self,
                 num_trials: int = 10,
                 gallery_source: str = 'random_seed',
                 permutation_file: str | None = None,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_trials = num_trials
        if gallery_source not in ('random_seed', 'official'):
            raise ConfigError(
                f'gallery_source is "random_seed" or "official", not "{gallery_source}"')
        self.gallery_source = gallery_source
        self.permutation_file = permutation_file

    def trials(self, images: ImageSet, setting: str) -> list[Trial]:
        """Draw the gallery of each trial."""
        mode, shot = setting.split('_')
        permutations = None
        if self.gallery_source == 'official':
            # <root>/cam1/0001/0001.jpg
            root = Path(images.img_path[0]).parents[2]
            permutations = load_sysu_permutations(
                self.permutation_file or root / 'exp' / 'rand_perm_cam.mat')
        return [
            Trial(
                f'{trial}',
                *sysu_trial(
                    images.identity,
                    images.camera,
                    images.img_path,
                    mode=mode,
                    shot=10 if shot == 'multi' else 1,
                    trial=trial,
                    source=self.gallery_source,
                    permutations=permutations)) for trial in range(self.num_trials)
        ]
