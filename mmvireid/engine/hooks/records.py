"""Files in which a run keeps what happened in each epoch."""

from pathlib import Path

from mmengine.runner import Runner

from mmvireid.compat import is_resuming, loaded_checkpoint


def record_of_resumed_run(runner: Runner, name: str) -> Path | None:
    """Find the record of the run that is resumed.

    It lies beside the checkpoint. A checkpoint that was moved may have lost it; then what
    the work directory holds is the best guess.

    Args:
        runner: the run.
        name: name of the file.

    Returns:
        Path | None: the file, None if nothing is resumed or there is none.
    """
    if not is_resuming(runner):
        return None
    folders = [Path(runner.work_dir)]
    if loaded_checkpoint(runner):
        folders.insert(0, Path(loaded_checkpoint(runner)).parent)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
