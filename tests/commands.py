"""Command lines of the toolbox as processes: started, watched, interrupted, never left behind."""

import contextlib
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Seconds after which a process is taken to hang: far more than any of them needs.
LIMIT = 600
#: A process that has imported all this forks for each tool, and for each worker started by
#: this method; imports would take most of their time. It has no threads, and nothing of the
#: tests in it.
FORK_SERVER = multiprocessing.get_context('forkserver')
FORK_SERVER.set_forkserver_preload([
    'pytest', 'mmpretrain.models', 'mmvireid.apis', 'mmvireid.cli', 'mmvireid.datasets',
    'mmvireid.engine', 'mmvireid.evaluation', 'mmvireid.models', 'mmvireid.visualization'])


def free_port():
    """Give a TCP port that nobody listens on."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def _become(words, files, cwd, environment):
    """Be the process of a tool, in a fork of the server."""
    os.setsid()
    # Programs inherit whether a signal is ignored, as under nohup, or blocked, as where the
    # server was started for the workers of the synthetic data.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for number, name in zip((1, 2), files):
        os.dup2(os.open(name, os.O_WRONLY), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = words
    # What an interpreter does when it starts.
    sys.path[:0] = [str(Path(words[0]).parent),
                    *filter(None, environment.get('PYTHONPATH', '').split(os.pathsep))]
    runpy.run_path(words[0], run_name='__main__')


class Command:
    """A command line at work, in a process group of its own.

    Ctrl-C reaches it even where this process ignores it, as a background job of a shell
    does. What it prints goes to files, so that it never waits for a reader. Leaving the
    ``with`` block kills whatever is left of the group.

    Args:
        words: a script in Python and its arguments, or any program's if ``fresh``.
        folder: an empty folder for the output.
        fresh: whether to start a program instead of forking the server.
        cwd: folder to run in.
        environment: additional environment variables.
    """

    def __init__(self, words, folder, fresh=False, cwd=ROOT, environment=None):
        self.words = [str(word) for word in words]
        self.files = [str(Path(folder) / name) for name in ('stdout.txt', 'stderr.txt')]
        environment = {**os.environ, **(environment or {})}
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(open(name, 'w')) for name in self.files]
            if fresh:
                for number, handler in ((signal.SIGINT, signal.default_int_handler),
                                        (signal.SIGHUP, signal.SIG_DFL)):
                    stack.callback(signal.signal, number, signal.signal(number, handler))
                process = subprocess.Popen(
                    self.words, stdin=subprocess.DEVNULL, stdout=streams[0],
                    stderr=streams[1], cwd=cwd, env=environment, start_new_session=True)
                self._poll = process.poll
            else:
                process = FORK_SERVER.Process(
                    target=_become, args=(self.words, self.files, str(cwd), environment))
                process.start()
                self._poll = lambda: process.exitcode
        self.process = process

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.code is None:
            self.process.kill()
        self.wait()

    @property
    def code(self):
        """Exit code, None while it runs."""
        return self._poll()

    def press_ctrl_c(self):
        """Interrupt as a terminal does: the command and all that it has started."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, until=lambda: False):
        """Wait for something, or for the end of the process, however slow the machine is."""
        deadline = time.monotonic() + LIMIT
        while self.code is None and not until():
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.words, LIMIT, self.output())
            time.sleep(0.05)

    def output(self):
        """Give what has been printed, to stdout and then to stderr."""
        return ''.join(Path(name).read_text() for name in self.files)

    def finish(self):
        """Wait for the end; give the exit code and what was printed, as subprocess.run does."""
        self.wait()
        return subprocess.CompletedProcess(
            self.words, self.code, *(Path(name).read_text() for name in self.files))
