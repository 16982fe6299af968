"""Decoded and resized images on disk."""

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmvireid.utils.errors import DatasetError, InputError
from mmvireid.utils.files import new_file_mode


class ImageCache:
    """Keep resized uint8 images on disk, read by memory mapping.

    Each image is one raw file, named by a digest of the source file's bytes and
    the size to which it was resized. So

    * a source file that changes is noticed, whatever its name or date;
    * equal images of several splits, trials or datasets are stored once;
    * there is no separate building step: whoever first needs an image, a worker
      or a rank or another run, decodes it and stores it. A file appears under its
      name only when complete (atomic rename), and two writers of one name write
      the same bytes, so nobody has to wait for a lock.

    Within a process the digest of a file is remembered together with what the file system
    says of it (size, number, times of both kinds), so an image that it meets again is not
    read from its source. A source that was replaced by another picture meanwhile is loaded
    anew, with a warning: a run that goes on with other data than it began with should not do
    so unnoticed. A loader's workers live for one epoch, unless they are persistent: each
    reads a source once more to know it, but does not decode it, and warns if the file system
    has changed the source since this object was made, with the dataset of the run. All
    processes share the pages of the mapped files.

    An image of 288 x 144 takes 122 KiB: about 4.3 GB for SYSU-MM01's training set.

    Args:
        folder: where the cache lies; made if missing, may be deleted between runs.
        size: (height, width) of the stored images.
        recipe: what else determines the pixels, for example the interpolation.
    """

    def __init__(self, folder: str, size: tuple[int, int], recipe: str = '') -> None:
        self.folder = os.path.abspath(os.fspath(folder))
        self.size = (int(size[0]), int(size[1]))
        self.recipe = recipe
        self._shape = (*self.size, 3)
        self._num_bytes = int(np.prod(self._shape))
        self._mode = new_file_mode()
        self._tidied: set[str] = set()
        self._digests: dict[str, tuple[tuple[int, ...], str]] = {}
        self._made = time.time_ns()  # copies that go to workers keep it

    def get(self, path: str, decode: Callable[[bytes], np.ndarray]) -> np.ndarray:
        """Return the resized image of a source file.

        Args:
            path: the source file.
            decode: makes the array of shape ``(height, width, 3)`` uint8 out of the
                file's bytes; called only if the cache lacks the image.

        Returns:
            A fresh, writable array of the same shape.

        Raises:
            DatasetError: if the cache cannot be written.
            OSError: if the source cannot be read.
        """
        status = os.stat(path)
        # Size and time of a replacement may be set to those of the old file; the time of its
        # last change (ctime) and its number (inode) may not.
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = self._digests.get(path)
        content = None
        if known is None or known[0] != stamp:
            content = self._read(path)
            recipe = f'{self.size}{self.recipe}'.encode()
            digest = hashlib.blake2b(content + recipe, digest_size=16).hexdigest()
            # Who has not met it before cannot tell another picture from other access rights.
            if status.st_ctime_ns > self._made if known is None else known[1] != digest:
                warnings.warn(
                    f'the image "{path}" was replaced or changed since this run began: what is '
                    'there now is loaded', stacklevel=2)
            known = self._digests[path] = (stamp, digest)
        digest = known[1]
        height, width = self.size
        target = os.path.join(self.folder, f'{height}x{width}', digest[:2], f'{digest}.rgb')
        if self._is_complete(target):
            return np.array(np.memmap(target, dtype=np.uint8, mode='r', shape=self._shape))
        image = decode(self._read(path) if content is None else content)
        if image.shape != self._shape or image.dtype != np.uint8:
            raise InputError(
                f'the cache holds uint8 images of shape {self._shape}, got {image.dtype} of '
                f'shape {image.shape}')
        self._write(target, image)
        return image

    @staticmethod
    def _read(path: str) -> bytes:
        with open(path, 'rb') as file:
            return file.read()

    def _is_complete(self, target: str) -> bool:
        # A crash of the machine (not of the process) can leave a renamed but empty file.
        try:
            return os.path.getsize(target) == self._num_bytes
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _write(self, target: str, image: np.ndarray) -> None:
        try:
            folder = os.path.dirname(target)
            if folder not in self._tidied:
                os.makedirs(folder, exist_ok=True)
                self._remove_unfinished(folder)
                self._tidied.add(folder)
            descriptor, temporary = self._unfinished_file(folder)
            try:
                with os.fdopen(descriptor, 'wb') as file:
                    file.write(image.tobytes())
                    file.flush()
                    # mkstemp makes private files, which another user of the cache could not
                    # read.
                    os.chmod(temporary, self._mode)
                    # Closing would end the lock: whoever tidies here would take the file for
                    # one that a killed process has left.
                    os.replace(temporary, target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise DatasetError(
                f'cannot write the image cache in "{self.folder}" ({error.strerror}): free '
                'space, choose another cache_dir, or set cache_dir=None') from error

    @staticmethod
    def _unfinished_file(folder: str) -> tuple[int, str]:
        """Make a file to write to, locked until it is closed; give descriptor and name."""
        while True:
            descriptor, name = tempfile.mkstemp(dir=folder, suffix='.partial')
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor, name
            # Another process met it before it was locked, and took it for a killed one's.
            os.close(descriptor)

    @staticmethod
    def _remove_unfinished(folder: str) -> None:
        """Delete what killed processes were writing here: what nobody has locked any more."""
        for path in Path(folder).glob('*.partial'):
            with contextlib.suppress(FileNotFoundError, BlockingIOError), open(path, 'rb') as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
