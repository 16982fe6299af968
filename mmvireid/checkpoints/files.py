"""Checkpoints as files: the newest of a run, of a chain of stages, the last one."""

import os
from pathlib import Path

from mmengine.config import Config

#: File of a work directory that names its newest checkpoint.
POINTER = 'last_checkpoint'


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


def last_stage_dir(work_dir: str | os.PathLike) -> Path:
    """Return the folder of the run that a work directory stands for.

    A chain of stages has a folder for each from its beginning on (``stage_1``, ``stage_2``,
    ...); the last one holds the result of the whole.

    Args:
        work_dir: folder of a run, or of a chain of stages.

    Returns:
        The folder of the last stage; the same folder if there are none.
    """
    stages = [path for path in Path(work_dir).glob('stage_*')
              if path.is_dir() and path.name[len('stage_'):].isdecimal()]
    return max(stages, key=lambda path: int(path.name[len('stage_'):]), default=Path(work_dir))


def final_checkpoint(cfg: Config) -> str:
    """Return the file name of a config's last checkpoint.

    Args:
        cfg: config of the training.
    """
    if 'max_iters' in cfg.train_cfg:
        return f'iter_{cfg.train_cfg.max_iters}.pth'
    return f'epoch_{cfg.train_cfg.max_epochs}.pth'
