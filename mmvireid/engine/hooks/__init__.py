"""Hooks: where training and evaluation meet MMEngine's Runner."""

from .check_loss_hook import CheckLossHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .clean_probability_hook import CleanProbabilityHook
from .ema_hook import EMAHook
from .epoch_seed_hook import EpochSeedHook, seed_worker
from .interrupt_hook import InterruptHook
from .last_and_best_hook import LastAndBestHook
from .pseudo_label_hook import PseudoLabelHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .stop_at_checkpoint_hook import StopAtCheckpointHook
from .training_progress_hook import TrainingProgressHook

__all__ = [
    'CheckLossHook', 'CheckpointGuardHook', 'CleanProbabilityHook', 'EMAHook', 'EpochSeedHook',
    'InterruptHook', 'LastAndBestHook', 'PseudoLabelHook', 'SafeCheckpointHook',
    'StopAtCheckpointHook', 'TrainingProgressHook', 'seed_worker'
]
