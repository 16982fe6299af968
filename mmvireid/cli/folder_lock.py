"""One run at a time in a folder."""

import errno
import fcntl
import os
import re
import socket
import sys
from pathlib import Path

from mmvireid.utils.errors import WorkDirError
from mmvireid.utils.processes import launched_processes

from .work_dirs import check_work_dir

LOCK = '.lock'
#: The one of a demo, which trains in its own folder: the training locks the other.
DEMO_LOCK = '.demo.lock'
#: A file that was being written: its own name between dots, and a random end. What an editor
#: keeps beside a file it has open looks alike.
_UNFINISHED = re.compile(
    r'\.(.+\.(pth|json|html|py|csv|npz|png|jpe?g|pdf|svg|onnx)|last_checkpoint)\.(?!sw[a-p]$)\w{1,8}')
#: Locks of a process: its number and the real path of the file -> a descriptor, which must stay
#: open: closed, the lock would end. Forks inherit the entry but not the lock.
_held: dict[tuple[int, str], int] = {}


def lock_work_dir(folder: str | os.PathLike, launcher: str = 'none',
                  name: str = LOCK) -> None:
    """Make a folder the own of this run until its process ends.

    Two runs in one folder would delete and overwrite each other's checkpoints. The main
    process locks a file in the folder. The system takes the lock back when the process ends,
    however it ends, and children do not inherit it: a killed run leaves the file but no lock.

    Under the lock, unfinished files that a killed run has left here are deleted. A demo, which
    only starts runs here, leaves that to them.

    Args:
        folder: made when missing.
        launcher: how processes were started; the first of them locks.
        name: of the file. What runs others in its own folder takes another one than they do.

    Raises:
        WorkDirError: if another process is at work in the folder, or it cannot be written.
    """
    check_work_dir(folder)
    path = os.path.realpath(os.path.join(folder, name))
    if launched_processes(launcher)[0] or (os.getpid(), path) in _held:
        return
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise WorkDirError(
            f'"{path}" cannot be opened ({error.strerror}): a run of another user lies there, '
            'choose another folder with --work-dir.') from error
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(file, 1000).decode().strip() or 'another process'
        os.close(file)
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise WorkDirError(
                f'{owner} is at work in "{folder}": wait for its end, or choose another folder '
                'with --work-dir.') from error
        print(f'Warning: the files of "{folder}" cannot be locked ({error.strerror}): see to it '
              'that no other run writes there.', file=sys.stderr)
        return
    os.truncate(file, 0)
    os.write(file, f'process {os.getpid()} of {socket.gethostname()}\n'.encode())
    _held[os.getpid(), path] = file
    if name == LOCK:
        _remove_unfinished(folder)


def _remove_unfinished(folder: str | os.PathLike) -> None:
    """Delete what killed runs were writing: here, and in the folders of logs and pictures."""
    for parent, folders, files in os.walk(folder):
        depth = len(Path(parent).relative_to(folder).parts)
        # Below lie runs with locks of their own, and perhaps what is none of ours.
        folders[:] = [name for name in folders if depth < 2
                      and not os.path.exists(os.path.join(parent, name, LOCK))]
        for name in files:
            if _UNFINISHED.fullmatch(name):
                Path(parent, name).unlink(missing_ok=True)
