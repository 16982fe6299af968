"""Stop a run whose loss is no longer a number."""


import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvireid.registry import HOOKS
from mmvireid.utils.errors import TrainingDivergedError


@HOOKS.register_module()
class CheckLossHook(Hook):
    """Stop training as soon as a loss is NaN or infinite.

    Everything saved afterwards would be broken, and MMEngine goes on silently.

    Args:
        interval: check every so many iterations. MMEngine reads the losses in every
            iteration for its log, so that a check costs nothing more.

    Raises:
        TrainingDivergedError: names the losses, the iteration and what to try.
    """

    priority = 'VERY_HIGH'
    only_watches = True

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Look at the losses of this iteration."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        broken = [
            name for name, value in outputs.items()
            if 'loss' in name and not torch.isfinite(torch.as_tensor(value)).all()
        ]
        if broken:
            parts = [name for name in broken if name != 'loss'] or broken
            raise TrainingDivergedError(
                f'{", ".join(parts)} became NaN or infinite in epoch {runner.epoch + 1}, '
                f'iteration {runner.iter + 1}: lower the learning rate '
                '(--cfg-options optim_wrapper.optimizer.lr=...), train without --amp, or add '
                'optim_wrapper.clip_grad.max_norm; checkpoints saved before are intact.')
