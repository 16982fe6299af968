"""Running a chain of stages."""

import gc
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmvireid.checkpoints import POINTER, check_checkpoint, final_checkpoint, find_checkpoint
from mmvireid.registry import HOOKS, MODELS, TRANSFORMS
from mmvireid.utils.errors import CheckpointError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.processes import launched_processes, main_process_computes

from .folder_lock import lock_work_dir
from .run_settings import check_settings, find_same_run, record_settings
from .runs import run_training


def train_stages(stages: Sequence[Config],
                 resume: str | None = None,
                 reuse: str | None = None) -> None:
    """Train the stages of a method one after the other; a single run is a chain of one.

    Each stage is an ordinary run that starts from the last weights of the one before it: its
    ``load_from``. What a stage hands on besides weights is a file with a name of its own in
    the folder of that checkpoint, wherever that is. A stage whose ``load_from`` says where it
    starts needs no stage before it: those are left out.

    All stages train in this process. Under torchrun and srun the ranks could not be started
    a second time: their rendezvous keeps the addresses of processes that have ended, so the
    group that the first stage joined serves all of them. Everything else that a Runner
    leaves in the process (logger, message hub, visualiser) is registered under the name of
    its experiment and the newest one is the current one; random numbers are seeded anew with
    each Runner and each epoch. So nothing of a stage reaches the next but its checkpoint, and
    a chain that was stopped and resumed computes what an unbroken one does.

    The folder of each stage belongs to this process until it ends.

    Args:
        stages: what :func:`mmvireid.config.load_stages` gave.
        resume: 'auto' to go on in whichever stage it was, or a checkpoint of one of the
            stages to go on from. Finished stages are not run again.
        reuse: folder of other runs. A stage that has been trained there, with all the same
            settings, is not trained again.

    Raises:
        CheckpointError: if ``reuse`` is no folder; if a checkpoint to start from is missing or
            broken, or belongs to no stage; without ``resume``, if the folder of a stage holds
            checkpoints, and with the checkpoint of a stage, if those of the later ones do.
        ConfigError: if the run to go on with has been begun with other settings.
        WorkDirError: if another process is at work in the folder of a stage.
    """
    if reuse and not Path(reuse).is_dir():
        raise CheckpointError(f'there is no folder "{reuse}" to take trained stages from.')
    for cfg in stages:
        lock_work_dir(cfg.work_dir, cfg.launcher)
    found = _resume_points(stages, resume)
    begun = [number for number, cfg in enumerate(stages)
             if found[number] or cfg.get('load_from')]
    for cfg in stages[1:]:
        _build_parts(cfg)
    previous = None
    for number in range(begun[-1] if begun else 0, len(stages)):
        cfg, checkpoint, last = stages[number], found[number], number + 1 == len(stages)
        if previous:
            cfg.load_from = previous
        finished = None if last else _finished_before(cfg, checkpoint, reuse)
        if finished:
            how, previous = finished
            _print_once(f'Stage {number + 1} of {len(stages)} {how}: {previous}')
            continue
        _prepare_start(cfg, checkpoint, keep_start=resume == 'auto')
        if len(stages) > 1:
            _print_once(f'Stage {number + 1} of {len(stages)} trains in {cfg.work_dir}' + (
                f', from {cfg.load_from}' if cfg.get('load_from') else ''))
        run_training(cfg)
        # The others must not look before the main process has saved its last checkpoint.
        previous = main_process_computes(lambda folder=cfg.work_dir: find_checkpoint(folder))
        # A Runner and its hooks refer to each other: without this, the network of a stage
        # would lie beside that of the next one.
        gc.collect()
        torch.cuda.empty_cache()


def _finished_before(cfg: Config, checkpoint: str | None,
                     reuse: str | None) -> tuple[str, str] | None:
    """Find out whether a stage need not be trained: how that came, and its last checkpoint."""
    if checkpoint:
        finished = Path(checkpoint).name == final_checkpoint(cfg)
        return ('is finished', checkpoint) if finished else None
    same = find_same_run(cfg, reuse) if reuse else None
    return ('has been trained before', same) if same else None


def _prepare_start(cfg: Config, checkpoint: str | None, keep_start: bool) -> None:
    """Let a run begin where its config says, or go on from a checkpoint; write down which."""
    # Where MMEngine's own key says to resume, a stage would resume the one before it.
    cfg.resume = checkpoint is not None
    if checkpoint:
        cfg.load_from = checkpoint
    if launched_processes(cfg.launcher)[0] == 0:
        record_settings(cfg, keep_start=keep_start and cfg.resume)
        if checkpoint and Path(checkpoint).resolve().parent == Path(cfg.work_dir).resolve():
            # Gone back to: stopped before its next one, the run goes on from here again.
            write_atomically(os.fsencode(checkpoint), Path(cfg.work_dir) / POINTER)
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from)


def _resume_points(stages: Sequence[Config], resume: str | None) -> list[str | None]:
    """Return the checkpoint that each stage goes on from, None where there is none."""
    folders = [cfg.work_dir for cfg in stages]
    own = [find_checkpoint(folder) for folder in folders]
    if resume is None and stages[-1].get('resume'):  # MMEngine's own way to say it
        resume = stages[-1].get('load_from') or 'auto'
    if resume is None:
        for checkpoint in filter(None, own):
            raise CheckpointError(
                f'"{checkpoint}" is of an earlier run: go on with that run by --resume, choose '
                'another --work-dir, or delete its checkpoints.')
        return own
    if resume == 'auto':
        for cfg, checkpoint in zip(stages, own):
            if checkpoint:
                check_settings(cfg)
        if not any(own):
            folder = folders[0] if len(folders) == 1 else Path(folders[0]).parent
            _print_once(f'{folder} holds no checkpoint yet: training starts at the beginning.')
        return own
    points: list[str | None] = [None] * len(stages)
    inside = [number for number, folder in enumerate(folders)
              if Path(resume).resolve().parent == Path(folder).resolve()]
    if not inside and len(stages) > 1:
        check_checkpoint(resume)
        raise CheckpointError(
            f'"{resume}" lies in no folder of a stage ({", ".join(folders)}), so it is '
            'unclear which stage goes on from it: start the second stage with its weights '
            f'by --cfg-options stages.1.load_from={resume}, or train the config of the '
            'stage by itself.')
    number = inside[0] if inside else 0
    # They would count as this run's, should it be stopped before it has saved its own.
    for checkpoint in filter(None, own[number + bool(inside):]):
        if Path(checkpoint).resolve() != Path(resume).resolve():
            raise CheckpointError(
                f'"{checkpoint}" does not come from "{resume}": delete the checkpoints of its '
                'folder, or choose another --work-dir.')
    points[number] = resume
    return points


def _build_parts(cfg: Config) -> None:
    """Build the parts of a later stage, so that a mistake in it does not show after days."""
    init_default_scope(cfg.get('default_scope', 'mmvireid'))
    for transform in cfg.train_dataloader.dataset.get('pipeline') or ():
        TRANSFORMS.build(transform)
    for hook in [*cfg.default_hooks.values(), *(cfg.get('custom_hooks') or ())]:
        if hook is not None:
            HOOKS.build(hook)
    build_optim_wrapper(MODELS.build(cfg.model), cfg.optim_wrapper)


def _print_once(text: str) -> None:
    """Print once, not on every rank."""
    if is_main_process():
        print(text, flush=True)
