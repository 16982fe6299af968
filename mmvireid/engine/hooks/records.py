"""Files in which a run keeps what happened in each epoch."""

from pathlib import Path
from typing import Optional

from mmengine.runner import Runner


def record_to_go_on_with(runner: Runner, name: str) -> Optional[Path]:
    """Find the record of the run that is resumed.

    It lies beside the checkpoint. A checkpoint that was moved may have lost it; then what
    the work directory holds is the best guess.

    Args:
        runner: the run.
        name: name of the file.

    Returns:
        Path | None: the file, None if nothing is resumed or there is none.
    """
    if not runner._resume:
        return None
    folders = [Path(runner.work_dir)]
    if runner._load_from:
        folders.insert(0, Path(runner._load_from).parent)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
