"""Files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path
from typing import Union


def write_atomically(data: bytes, path: Union[str, os.PathLike]) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        data: the whole content.
        path: where; missing folders are made.
    """
    path = Path(path)
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


def new_file_mode() -> int:
    """Return the access rights that a new file gets here."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
