"""Checkpoints as files: the newest of a run, of a chain of stages, the last one."""

import os
from pathlib import Path

from mmengine.config import Config

#: File of a work directory that names its newest checkpoint.
POINTER = 'last_checkpoint'
#: What the name of a stage's folder begins with, before its number.
_STAGE = 'stage_'


def find_checkpoint(work_dir: str | os.PathLike) -> str | None:
    """Find the newest complete checkpoint of a work directory.

    MMEngine's pointer file may name a file that was never finished; then the newest
    ``epoch_*.pth`` or ``iter_*.pth`` counts. Of a chain it is that of the last stage.

    Args:
        work_dir: folder of a run, or of a chain of stages.

    Returns:
        Path of the checkpoint, or None if there is none.
    """
    work_dir = last_stage_dir(work_dir)
    pointer = work_dir / POINTER
    if pointer.is_file():
        # Older versions may have left it half-written.
        target = os.fsdecode(pointer.read_bytes()).strip()
        # A folder that was copied or moved still names its old place.
        for candidate in (work_dir / os.path.basename(target), Path(target)):
            if target and os.path.isfile(candidate):
                return str(candidate)
    found = [*work_dir.glob('epoch_*.pth'), *work_dir.glob('iter_*.pth')]
    return str(max(found, key=lambda path: path.stat().st_mtime)) if found else None


def finished_checkpoint(work_dir: str | os.PathLike, cfg: Config) -> str | None:
    """Find the last checkpoint of a training, if it has come to its end.

    Args:
        work_dir: folder of a run, or of a chain of stages.
        cfg: config of the run; of a chain, that of its last stage.

    Returns:
        Path of the checkpoint; None if there is none, or the newest is an earlier one.
    """
    newest = find_checkpoint(work_dir)
    return newest if newest and os.path.basename(newest) == final_checkpoint(cfg) else None


def stage_dir(work_dir: str | os.PathLike, number: int) -> str:
    """Return the folder of a stage below the work directory of its chain.

    Args:
        work_dir: of the chain.
        number: of the stage, from 1.

    Examples:
        >>> from mmvireid.checkpoints import stage_dir
        >>> stage_dir('work_dirs/two_stages', 2)
        'work_dirs/two_stages/stage_2'
    """
    return os.path.join(work_dir, f'{_STAGE}{number}')


def last_stage_dir(work_dir: str | os.PathLike) -> Path:
    """Return the folder of the run that a work directory stands for.

    A chain of stages has a folder for each from its beginning on (:func:`stage_dir`); the last
    one holds the result of the whole.

    Args:
        work_dir: folder of a run, or of a chain of stages.

    Returns:
        The folder of the last stage; the same folder if there are none.
    """
    numbers = [int(path.name.removeprefix(_STAGE)) for path in Path(work_dir).glob(f'{_STAGE}*')
               if path.is_dir() and path.name.removeprefix(_STAGE).isdecimal()]
    return Path(stage_dir(work_dir, max(numbers)) if numbers else work_dir)


def final_checkpoint(cfg: Config) -> str:
    """Return the file name of a config's last checkpoint.

    Args:
        cfg: config of the training.
    """
    if 'max_iters' in cfg.train_cfg:
        return f'iter_{cfg.train_cfg.max_iters}.pth'
    return f'epoch_{cfg.train_cfg.max_epochs}.pth'
