"""Steps of a demo: commands that anybody can type, run once each."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Sequence, Union

from mmengine.config import Config

from mmvireid.checkpoints import final_checkpoint, find_checkpoint


def run_command(command: Sequence[object], cwd: Union[str, os.PathLike, None] = None) -> None:
    """Run a command and leave with its exit code if it fails.

    After Ctrl-C the command, which got it too, is given the time to end properly.

    Args:
        command: program and arguments.
        cwd: folder to run in.
    """
    with subprocess.Popen([str(part) for part in command], cwd=cwd) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
    if code == 130:
        raise KeyboardInterrupt
    if code:
        sys.exit(code)


def run_step(step: str, *command: object) -> None:
    """Print a command and run it; leave with its exit code if it fails.

    Args:
        step: what it does.
        *command: a script and its arguments, from the root of the repository.
    """
    words = [str(part) for part in command]
    print(f'\n=== {step}\n    python {shlex.join(words)}\n', flush=True)
    run_command([sys.executable, *words])


def train_once(step: str, config: str, cfg: Config, work_dir: Path,
               options: Sequence[str] = ()) -> str:
    """Train unless the last checkpoint exists; go on where a training was stopped.

    Args:
        step: what it does.
        config: config file.
        cfg: what it says, to know its last epoch; of a chain, what its last stage says.
        work_dir: folder of the run.
        options: further words of the command line.

    Returns:
        The last checkpoint.
    """
    checkpoint = find_checkpoint(work_dir)
    if checkpoint is not None and Path(checkpoint).name == final_checkpoint(cfg):
        print(f'\n=== {step}: already done, {checkpoint}')
        return checkpoint
    run_step(step, 'tools/train.py', config, '--work-dir', work_dir, '--resume', *options)
    return find_checkpoint(work_dir)


def evaluate_once(step: str, config: str, folder: Path, options: Sequence[str] = (),
              *extra: object) -> Path:
    """Test unless the numbers exist.

    Args:
        step: what it does.
        config: config file.
        folder: for the numbers and the log.
        options: last words of the command line.
        *extra: first words of the command line, the checkpoint among them.

    Returns:
        The file with the numbers.
    """
    out = Path(folder) / 'results.json'
    if out.is_file():
        print(f'\n=== {step}: already done, {out}')
    else:
        run_step(step, 'tools/test.py', config, *extra, '--work-dir', folder, '--out', out,
                 *options)
    return out
