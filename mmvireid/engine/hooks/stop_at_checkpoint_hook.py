"""End a training at a checkpoint when a scheduler gives notice."""

import signal

import torch
from mmengine.dist import all_reduce, barrier
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmvireid.registry import HOOKS
from mmvireid.utils.interrupts import ProgramInterrupt, checkpoint_is_asked_for


@HOOKS.register_module()
class StopAtCheckpointHook(Hook):
    """Save a checkpoint and end when SIGUSR1 has asked for it.

    A scheduler sends the signal some time before it takes the machine away. A run goes on
    exactly as if unbroken from the end of an epoch only (random numbers, samplers and pseudo
    labels are functions of the epoch), so the epoch is finished first, saved whatever the
    interval of the checkpoints is, and not validated: the run that goes on makes up for it.
    Training that counts iterations ends after the current one.

    All processes agree, also where only one of them got the signal, and end together when the
    checkpoint is complete.

    Raises:
        ProgramInterrupt: when the checkpoint is saved.
    """

    # Before the checkpoint is saved.
    priority = 'VERY_HIGH'
    only_watches = True

    def __init__(self) -> None:
        self._saved = False

    def before_train(self, runner: Runner) -> None:
        """Stop between two stages if it was asked for in the last epoch of the first."""
        if self._agreed():
            raise ProgramInterrupt(signal.SIGUSR1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Let this epoch be saved if that is asked for."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and self._agreed():
            self._save_now(runner, 'epoch_{}.pth')

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None,
                         outputs: object = None) -> None:
        """Let this iteration be saved if that is asked for and iterations are counted."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop) and self._agreed():
            self._save_now(runner, 'iter_{}.pth')

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        self._stop()

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: object = None,
                     mode: str = 'train') -> None:
        self._stop()

    def _agreed(self) -> bool:
        """Tell whether any process was asked to stop."""
        asked = torch.tensor(int(checkpoint_is_asked_for()))
        all_reduce(asked, 'max')  # nothing to do in a single process
        return bool(asked)

    def _save_now(self, runner: Runner, name: str) -> None:
        """Let the hook of checkpoints, which comes later, save here."""
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                runner.logger.info('SIGUSR1: a checkpoint is saved, then training ends.')
                hook.interval, hook.save_begin = 1, 0
                if hook.by_epoch != name.startswith('epoch'):
                    hook.by_epoch, hook.filename_tmpl = not hook.by_epoch, name
                self._saved = True

    def _stop(self) -> None:
        if self._saved:
            barrier()  # a launcher ends all when one has ended: the main process saves first
            raise ProgramInterrupt(signal.SIGUSR1)
