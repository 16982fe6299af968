"""Checkpoints as files: find them, check them, tidy up after a killed run."""

import os
from pathlib import Path
from typing import Container, Optional, Union

import torch
from mmengine.config import Config

from mmvireid.utils.errors import CheckpointError

#: How names of parameters began in earlier versions -> how they begin now.
RENAMED_PARAMETERS = {'head.neck.': 'head.bnneck.', 'head.necks.': 'head.bnnecks.'}


def current_name(name: str, own: Container[str]) -> str:
    """Return what a parameter of a checkpoint is called now.

    Args:
        name: in the checkpoint, perhaps of an earlier version.
        own: names in the model, which may use an old name for a part of its own.

    Returns:
        The model's name for it; the same name where it has no other.
    """
    for old, new in RENAMED_PARAMETERS.items():
        renamed = name.replace(old, new, 1)
        if name.startswith(old) and name not in own and renamed in own:
            return renamed
    return name


def find_checkpoint(work_dir: Union[str, os.PathLike]) -> Optional[str]:
    """Find the newest complete checkpoint of a work directory.

    MMEngine's pointer file may name a file that was never finished; then the newest
    ``epoch_*.pth`` or ``iter_*.pth`` counts. Of a chain it is that of the last stage.

    Args:
        work_dir: folder of a run, or of a chain of stages.

    Returns:
        Path of the checkpoint, or None if there is none.
    """
    work_dir = last_stage_dir(work_dir)
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        target = pointer.read_text().strip()
        # A folder that was copied or moved still names its old place.
        for candidate in (work_dir / Path(target).name, Path(target)):
            if target and candidate.is_file():
                return str(candidate)
    found = [*work_dir.glob('epoch_*.pth'), *work_dir.glob('iter_*.pth')]
    return str(max(found, key=lambda path: path.stat().st_mtime)) if found else None


def last_stage_dir(work_dir: Union[str, os.PathLike]) -> Path:
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


def check_checkpoint(path: Union[str, os.PathLike]) -> None:
    """Make sure that a checkpoint file exists and can be read.

    Args:
        path: file; an address is left to be fetched later.

    Raises:
        CheckpointError: if it is missing or broken.
    """
    if '://' in str(path):
        return
    if not Path(path).is_file():
        raise CheckpointError(f'there is no checkpoint "{path}".')
    try:
        # Nothing of the file is executed; MMEngine loads it afterwards.
        torch.load(path, map_location='meta', weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        if 'Unsupported' in str(error):  # complete, with more than tensors in it
            return
        raise CheckpointError(
            f'"{path}" is not a complete checkpoint ({type(error).__name__}): copy it again, '
            'or take an earlier one from the same folder.') from error


def remove_unfinished(work_dir: Union[str, os.PathLike]) -> None:
    """Delete what a killed run left of a checkpoint that it was writing.

    Args:
        work_dir: folder of the run.
    """
    for path in Path(work_dir).glob('.*.pth.*'):
        path.unlink(missing_ok=True)  # another process of the same run may be faster


def final_checkpoint(cfg: Config) -> str:
    """Return the file name of a config's last checkpoint.

    Args:
        cfg: config of the training.
    """
    if 'max_iters' in cfg.train_cfg:
        return f'iter_{cfg.train_cfg.max_iters}.pth'
    return f'epoch_{cfg.train_cfg.max_epochs}.pth'
