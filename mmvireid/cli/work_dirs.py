"""Folders and files that results are written to."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmvireid.utils.errors import ConfigError, WorkDirError
from mmvireid.utils.files import cure_of, write_atomically


def check_work_dir(path: str | os.PathLike) -> None:
    """Make sure that results can be written before hours are spent on them.

    Args:
        path: folder, made when missing.

    Raises:
        WorkDirError: if the folder cannot be made or written to.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as file:
            # A full disk still takes empty files; the first log is longer than this.
            file.write(bytes(2**16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise WorkDirError(
            f'results cannot be written to "{path}" ({error.strerror}): {cure_of(error)}.'
        ) from error


def check_out_file(path: str | os.PathLike) -> None:
    """Make sure that a file of results can be written before they are computed.

    Args:
        path: the file; the folder that it lies in is made when missing.

    Raises:
        WorkDirError: if the path is a folder, or that folder cannot be written to.
    """
    if Path(path).is_dir():
        raise WorkDirError(
            f'results cannot be written to "{path}", which is a folder: name a file in it.')
    check_work_dir(Path(path).parent)


def claim_folder(folder: str | os.PathLike, runs: Sequence[Config],
                 **more: object) -> None:
    """Make sure that the results in a folder belong to what is asked for now.

    Args:
        folder: made when missing; ``request.json`` in it says what it is for.
        runs: their configs, overrides included.
        **more: further settings that change results.

    Raises:
        ConfigError: if the folder holds results of something else.
    """
    path = Path(folder) / 'request.json'
    request = dict(config='\n'.join(cfg.pretty_text for cfg in runs), **more)
    if path.is_file() and json.loads(path.read_text(encoding='utf-8')) != request:
        raise ConfigError(
            f'"{folder}" holds results of another config or of other options: choose another '
            '--work-dir, or delete the folder.')
    write_atomically(json.dumps(request, indent=2).encode(), path)
