"""The two directions of RegDB."""


from mmvireid.evaluation.functional.protocols import regdb_trial
from mmvireid.registry import METRICS
from mmvireid.structures import ImageSet

from .base import CrossModalityMetric, Trial


@METRICS.register_module()
class RegDBMetric(CrossModalityMetric):
    """Rank the whole other modality for each query, as on RegDB.

    Image-level CMC, no camera rule. The ten splits of RegDB are ten models, one
    trained on each: see ``tools/run_trials.py``.

    Args:
        **kwargs: those of :class:`CrossModalityMetric`; settings are ``v2t`` (visible
            query, thermal gallery) and ``t2v``.
    """

    protocol = 'regdb'
    default_prefix = 'regdb'
    SETTINGS = {
        'v2t': 'RegDB, visible query, thermal gallery',
        't2v': 'RegDB, thermal query, visible gallery',
    }

    def trials(self, images: ImageSet, setting: str) -> list[Trial]:
        """Give the one query set and gallery of a direction."""
        return [Trial('split', *regdb_trial(images.modality, direction=setting))]
