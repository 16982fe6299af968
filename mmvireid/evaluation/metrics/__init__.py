"""MMEngine metrics, one for each dataset's protocol."""

from .base import CrossModalityMetric, Trial
from .list_file_metric import ListFileMetric
from .llcm_metric import LLCMMetric
from .regdb_metric import RegDBMetric
from .sysu_metric import SYSUMetric

__all__ = [
    'CrossModalityMetric', 'LLCMMetric', 'ListFileMetric', 'RegDBMetric', 'SYSUMetric', 'Trial'
]
