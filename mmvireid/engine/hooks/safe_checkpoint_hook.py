"""Save first, delete afterwards."""

import os
from collections import deque
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmvireid.checkpoints import POINTER
from mmvireid.compat import atomic_storage
from mmvireid.registry import HOOKS
from mmvireid.utils.errors import MissingEntryError, TrainingDivergedError
from mmvireid.utils.files import write_atomically

#: Ends of the names of retrieval metrics, beside those that MMEngine knows.
_GREATER_IS_BETTER = ('mINP', 'R1', 'R5', 'R10', 'R20')


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Keep the last good checkpoint until the next one is complete on disk.

    MMEngine's hook deletes the oldest file before it writes the newest: with
    ``max_keep_ckpts=1`` a run that is stopped in between has none left.

    Weights that are no longer numbers are not saved: the loss of the step that broke them
    was still finite, so :class:`CheckLossHook` would notice one step too late, when they
    have taken the place of the last good ones.

    Files are written whole or not at all, unless ``backend_args`` names another storage.

    A resumed checkpoint names those before it, which make place for newer ones. Only what lies
    in the folder of this run is deleted: the run that the checkpoint comes from keeps its own,
    and so does everybody else, whatever a stranger's file names.

    Args:
        backend_args: storage of the checkpoints; None for local files that are never half
            there.
        **kwargs: those of :class:`mmengine.hooks.CheckpointHook`.

    Raises:
        TrainingDivergedError: if a weight or buffer is NaN or infinite.
        MissingEntryError: if ``save_best`` names no metric of the evaluator.
    """

    only_watches = True

    def __init__(self, backend_args: dict | None = None, **kwargs: Any) -> None:
        kwargs.setdefault('greater_keys', [*self._default_greater_keys, *_GREATER_IS_BETTER])
        super().__init__(backend_args=backend_args or atomic_storage(), **kwargs)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best checkpoint, as the parent does.

        Raises:
            MissingEntryError: if the evaluator does not report what ``save_best`` names.
        """
        for name in self.key_indicators if self.save_best is not None and metrics else ():
            if name not in (*metrics, 'auto'):
                raise MissingEntryError(
                    f'default_hooks.checkpoint.save_best names "{name}", but the evaluator '
                    f'reports {", ".join(sorted(metrics))}.')
        super().after_val_epoch(runner, metrics)

    def before_train(self, runner: Runner) -> None:
        """Read which checkpoints exist, as the parent does, without its size limit."""
        _keep_numbered_checkpoints(runner)
        super().before_train(runner)
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids = deque(self.keep_ckpt_ids)
        if self.save_best is not None:
            # Of several metrics each has its own; of one, the other attribute is not there.
            self.best_ckpt_path = self._in_own_folder(getattr(self, 'best_ckpt_path', None))
            for metric, path in getattr(self, 'best_ckpt_path_dict', {}).items():
                self.best_ckpt_path_dict[metric] = self._in_own_folder(path)

    def _in_own_folder(self, path: Any) -> str | None:
        """Return where this run has the best checkpoint that a resumed one names.

        Its file name alone counts: the folder may be another run's, or have been moved.
        """
        name = os.path.basename(path) if isinstance(path, str) else ''
        return self.file_backend.join_path(self.out_dir, name) if name.startswith(
            'best_') else None

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict | None) -> None:
        self._check_weights(runner, step)
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            self.keep_ckpt_ids.append(step)
            while len(self.keep_ckpt_ids) > self.max_keep_ckpts:
                outdated.append(self.keep_ckpt_ids.popleft())
            # Before saving: the list travels inside the checkpoint.
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self._save(runner, step, meta)
        for old in outdated:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _save(self, runner: Runner, step: int, meta: dict | None) -> None:
        """Write a checkpoint, then its name to ``last_checkpoint``, each whole."""
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
            backend_args=self.backend_args, **self.args)
        if is_main_process():
            write_atomically(os.fsencode(self.last_ckpt), Path(runner.work_dir) / POINTER)

    def _check_weights(self, runner: Runner, step: int) -> None:
        """Stop before broken weights take the place of good ones."""
        unit = 'epoch' if self.by_epoch else 'iteration'
        for name, value in runner.model.state_dict().items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise TrainingDivergedError(
                    f'{name} became NaN or infinite in {unit} {step}, which is not saved: lower '
                    'the learning rate (--cfg-options optim_wrapper.optimizer.lr=...), train '
                    'without --amp, or add optim_wrapper.clip_grad.max_norm; checkpoints saved '
                    'before are intact.')


def _keep_numbered_checkpoints(runner: Runner) -> None:
    """Let the list of earlier checkpoints hold epochs or iterations, no parts of a path."""
    hub = runner.message_hub
    if 'keep_ckpt_ids' in hub.runtime_info:
        steps = hub.get_info('keep_ckpt_ids')
        hub.update_info('keep_ckpt_ids', [step for step in steps if type(step) is int])
