"""Files that are written whole or not at all, and what to do where that fails."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import WorkDirError

#: Why a disk takes no more -> what to do about it.
_CURES = {
    errno.ENOSPC: 'free space or choose another folder',
    errno.EDQUOT: 'free space or ask for a larger quota',
    errno.EFBIG: 'raise the limit on the size of files (ulimit -f)',
    errno.EROFS: 'choose a folder that can be written to',
}


def write_atomically(data: bytes, path: str | os.PathLike) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        data: the whole content.
        path: where; missing folders are made.

    Raises:
        WorkDirError: if that fails; the old content stays.
    """
    path = Path(path)
    with described_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
        try:
            with os.fdopen(handle, 'wb') as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes private files; results are shared like any other file.
            os.chmod(name, new_file_mode())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def described_write_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turn what the system says of a file that cannot be written into one sentence.

    Args:
        path: the file that is written within the block.

    Raises:
        WorkDirError: in place of an ``OSError``.
    """
    try:
        yield
    except WorkDirError:
        raise
    except OSError as error:
        raise write_error(error, path) from error


def write_error(error: OSError, path: str | os.PathLike | None = None) -> WorkDirError:
    """Say what cannot be written, why, and what to do.

    Args:
        error: what the system says.
        path: the file, where it is known.

    Returns:
        An error to raise.
    """
    name = path or error.filename
    what = f'"{name}"' if name else 'a file of results'
    return WorkDirError(
        f'{what} cannot be written ({error.strerror or error}): {cure_of(error)}, then start '
        'again, a training with --resume; what was saved before is intact.')


def cure_of(error: OSError) -> str:
    """Say what to do about something that cannot be written.

    Args:
        error: what the system says.

    Returns:
        The end of a sentence.
    """
    return _CURES.get(error.errno, 'correct the access rights or choose another folder')


def is_disk_error(error: BaseException) -> bool:
    """Tell whether a disk took no more: full, over quota or limit, or read-only.

    Args:
        error: any error.
    """
    return isinstance(error, OSError) and error.errno in _CURES


def new_file_mode() -> int:
    """Return the access rights that a new file gets here."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
