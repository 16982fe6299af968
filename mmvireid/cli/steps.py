"""Steps of a demo: commands that anybody can type, run once each."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mmengine.config import Config

from mmvireid.checkpoints import find_checkpoint, finished_checkpoint
from mmvireid.utils.interrupts import (
    ProgramInterrupt,
    end_with_parent,
    notice_passed_on,
    signal_of,
)
from mmvireid.utils.records import read_record_if_complete


def run_command(command: Sequence[object], cwd: str | os.PathLike | None = None) -> None:
    """Run a command and leave with its exit code if it fails.

    A signal that asks this process to end is passed on, and the command is given the time to
    end properly; where this process is killed, the system ends the command (on Linux).

    Args:
        command: program and arguments.
        cwd: folder to run in.

    Raises:
        ProgramInterrupt: if a signal has ended this process or the command.
    """
    words, parent = [str(part) for part in command], os.getpid()
    with subprocess.Popen(words, cwd=cwd, preexec_fn=lambda: end_with_parent(parent)) as process:
        try:
            with notice_passed_on(lambda number: _give_notice(process, words, number)):
                code = process.wait()
        except KeyboardInterrupt as stop:
            process.send_signal(signal_of(stop))
            process.wait()
            raise
    number = -code if code < 0 else code - 128
    if number in {int(known) for known in signal.Signals} and number != signal.SIGPIPE:
        raise ProgramInterrupt(number)
    if code:
        sys.exit(code)


def _give_notice(process: subprocess.Popen, words: Sequence[str], number: int) -> None:
    """Send a signal to a command; to what it has started if that is what trains."""
    receivers = [process.pid]
    if 'torch.distributed.run' in words:
        # The launcher would die of it. Its children are listed on Linux only.
        children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
        text = children.read_text(encoding='utf-8') if children.is_file() else ''
        receivers = map(int, text.split())
    for pid in receivers:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, number)


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
               options: Sequence[str] = (), reuse: Path | None = None) -> str:
    """Train unless the last checkpoint exists; go on where a training was stopped.

    Args:
        step: what it does.
        config: config file.
        cfg: what it says, to know its last epoch; of a chain, what its last stage says.
        work_dir: folder of the run.
        options: further words of the command line.
        reuse: folder of other runs, from which stages that are the same are taken.

    Returns:
        The last checkpoint.
    """
    checkpoint = finished_checkpoint(work_dir, cfg)
    if checkpoint is not None:
        print(f'\n=== {step}: already done, {checkpoint}')
        return checkpoint
    shared = [] if reuse is None else ['--reuse-stages', reuse]
    run_step(step, 'tools/train.py', config, '--work-dir', work_dir, '--resume', *shared,
             *options)
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
    if read_record_if_complete(out) is not None:
        print(f'\n=== {step}: already done, {out}')
    else:
        run_step(step, 'tools/test.py', config, *extra, '--work-dir', folder, '--out', out,
                 *options)
    return out
