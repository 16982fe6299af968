"""What plugs into MMEngine's Runner."""

from .extractors import TrainingSetExtractor, describe
from .hooks import (
    CheckLossHook,
    CheckpointGuardHook,
    EMAHook,
    EpochSeedHook,
    InterruptHook,
    LastAndBestHook,
    PseudoLabelHook,
    SafeCheckpointHook,
    StopAtCheckpointHook,
    seed_worker,
)
from .optim import AmpSummingOptimWrapper, SummingOptimWrapper
from .runner import ReIDRunner

__all__ = [
    'AmpSummingOptimWrapper', 'CheckLossHook', 'CheckpointGuardHook', 'EMAHook', 'EpochSeedHook',
    'InterruptHook', 'LastAndBestHook', 'PseudoLabelHook', 'ReIDRunner', 'SafeCheckpointHook',
    'StopAtCheckpointHook', 'SummingOptimWrapper', 'TrainingSetExtractor', 'describe',
    'seed_worker'
]
