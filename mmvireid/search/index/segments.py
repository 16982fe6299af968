"""Rows on disk: segments that are written once and mapped ever after.

A segment holds the rows added between two saves, in up to three files: descriptors, rows
(:data:`~mmvireid.search.index.rows.ROW`) and names. A file that a saved index refers to is
never changed: to add is to write another segment, so whatever happens meanwhile, the index
on disk is the one saved last.
"""

import mmap
import os
import secrets
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mmvireid.utils.files import described_write_errors

from .rows import ROW, UNKNOWN, GalleryRows

#: Bytes read at once where a file is read from end to end.
CHUNK = 2**22


class MappedFile:
    """The first bytes of a file as an array, read when touched.

    Args:
        file: the open file, which may be closed or deleted later.
        size: number of bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._map = None
        self.bytes = np.empty(0, np.uint8)
        if size:
            self._map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
            self.bytes = np.frombuffer(self._map, np.uint8)

    def release(self, start: int, stop: int) -> None:
        """Give back the memory of a range of bytes that will not be read again soon.

        Args:
            start: first byte.
            stop: byte after the last.
        """
        if self._map is not None and hasattr(mmap, 'MADV_DONTNEED'):
            start -= start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_DONTNEED, start, stop - start)


class Segment:
    """Rows that are stored together, in memory or mapped from files.

    Args:
        rows: shape ``(N,)`` :data:`ROW`.
        names: the names one after another, shape ``(bytes,)`` uint8.
        descriptors: shape ``(N, D)`` float32 or float16, None where another index file
            holds them.
        file: where ``descriptors`` is mapped from.
        entry: the segment's part of the manifest, None before it is saved.
    """

    def __init__(self,
                 rows: np.ndarray,
                 names: np.ndarray,
                 descriptors: np.ndarray | None,
                 file: MappedFile | None = None,
                 entry: dict[str, Any] | None = None) -> None:
        self.rows = rows
        self.names = names
        self.descriptors = descriptors
        self.entry = entry
        self._file = file

    @classmethod
    def open(cls, folder: Path, entry: dict[str, Any], dim: int, dtype: str) -> 'Segment':
        """Map the files of a segment.

        Args:
            folder: where they are.
            entry: the segment's part of the manifest.
            dim: length of the descriptors.
            dtype: their type.

        Returns:
            Segment: the rows.
        """
        files = {}
        for part, described in entry['files'].items():
            with open(folder / described['name'], 'rb') as file:
                files[part] = MappedFile(file, described['size'])
        return cls.mapped(files, dim, dtype, entry)

    @classmethod
    def mapped(cls,
               files: dict[str, MappedFile],
               dim: int,
               dtype: str,
               entry: dict[str, Any] | None = None) -> 'Segment':
        """Read the bytes of files as a segment.

        Args:
            files: ``'rows'``, ``'names'`` and, where there are any, ``'descriptors'``.
            dim: length of the descriptors.
            dtype: their type.
            entry: the segment's part of the manifest, None before it is saved.

        Returns:
            Segment: the rows.
        """
        held = files.get('descriptors')
        descriptors = None if held is None else held.bytes.view(dtype).reshape(-1, dim)
        return cls(files['rows'].bytes.view(ROW), files['names'].bytes, descriptors, held, entry)

    def __len__(self) -> int:
        return len(self.rows)

    def release(self, start: int, stop: int) -> None:
        """Give back the memory of descriptors that were read.

        Args:
            start: first row.
            stop: row after the last.
        """
        if self._file is not None:
            size = self.descriptors.itemsize * self.descriptors.shape[1]
            self._file.release(start * size, stop * size)

    def name(self, row: int) -> str:
        """Return the name of a row.

        Args:
            row: its number in this segment.

        Returns:
            str: the name.
        """
        start = self.rows['end'][row - 1] if row else 0
        text = self.names[start:self.rows['end'][row]].tobytes()
        return text.decode('utf-8', 'surrogateescape')


class SegmentList:
    """Segments one after another, read as if they were one.

    Args:
        segments: in the order of their rows.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = list(segments)
        self._ends = np.cumsum([len(segment) for segment in self.segments], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.segments else 0

    def parts(self, start: int, stop: int) -> list[tuple[Segment, int, int]]:
        """List what segments have of a range of rows.

        Args:
            start: first row.
            stop: row after the last.

        Returns:
            list: segment, its first row and the one after the last.
        """
        found = []
        place = int(np.searchsorted(self._ends, start, 'right'))
        while start < stop:
            segment = self.segments[place]
            offset = int(self._ends[place]) - len(segment)
            end = min(stop, offset + len(segment))
            found.append((segment, start - offset, end - offset))
            start, place = end, place + 1
        return found

    def descriptors(self, start: int, stop: int) -> np.ndarray:
        """Return descriptors, without copying them where one segment holds all.

        Args:
            start: first row.
            stop: row after the last.

        Returns:
            np.ndarray: shape ``(stop - start, D)``, not to be written to.
        """
        parts = [part.descriptors[a:b] for part, a, b in self.parts(start, stop)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def release(self, start: int, stop: int) -> None:
        """Give back the memory of descriptors that were read.

        Args:
            start: first row.
            stop: row after the last.
        """
        for part, a, b in self.parts(start, stop):
            part.release(a, b)

    def locate(self, rows: np.ndarray) -> list[tuple[Segment, np.ndarray, np.ndarray]]:
        """Find the segments of some rows.

        Args:
            rows: shape ``(R,)`` int64; negative ones are left out.

        Returns:
            list: segment, places in ``rows``, numbers in the segment.
        """
        owners = np.searchsorted(self._ends, rows, 'right')
        owners[rows < 0] = -1
        found = []
        for owner in np.unique(owners[owners >= 0]):
            segment, places = self.segments[owner], np.flatnonzero(owners == owner)
            found.append((segment, places, rows[places] - (self._ends[owner] - len(segment))))
        return found

    def take(self, rows: np.ndarray, text: bool) -> GalleryRows:
        """Read names and annotations.

        Args:
            rows: int64 of any shape, -1 for none.
            text: whether names are strings.

        Returns:
            GalleryRows: arrays of the shape of ``rows``.
        """
        wanted = rows.ravel()
        stored = np.zeros(len(wanted), ROW)
        stored['number'] = -1
        for name, value in UNKNOWN.items():
            stored[name] = value
        names = np.full(len(wanted), None, object)
        for segment, places, local in self.locate(wanted):
            stored[places] = segment.rows[local]
            if text:
                names[places] = [segment.name(row) for row in local.tolist()]
        ids = names if text else stored['number'].copy()
        return GalleryRows(
            ids.reshape(rows.shape),
            *(stored[name].reshape(rows.shape) for name in ('identity', 'camera', 'modality')))


class GrowingFile:
    """A file that is written at its end, and can take back its last bytes.

    Args:
        path: a file that does not exist yet. Another process may delete it (see
            :func:`~mmvireid.search.index.manifest.write_manifest`), which takes nothing
            from who has it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with described_write_errors(path):
            # Unbuffered: what a full disk refused must not come back at the next write.
            self._file = open(path, 'x+b', buffering=0)  # noqa: SIM115
        self.size = self.checksum = 0

    def write(self, data: Any) -> None:
        """Write all bytes of an array or of a bytes object.

        Args:
            data: C-contiguous.
        """
        if isinstance(data, np.ndarray):
            data = data.reshape(-1).view(np.uint8)
        rest = memoryview(data)
        self.checksum = zlib.crc32(rest, self.checksum)
        self.size += len(rest)
        with described_write_errors(self.path):
            while rest:
                rest = rest[self._file.write(rest):]

    def restore(self, size: int, checksum: int) -> None:
        """Take back everything after a size.

        Args:
            size: bytes to keep.
            checksum: their checksum.
        """
        self.size, self.checksum = size, checksum
        self._file.seek(size)
        self._file.truncate()

    def map(self) -> MappedFile:
        """Map what was written so far."""
        return MappedFile(self._file, self.size)

    def close(self) -> dict[str, Any]:
        """Wait until the disk has everything, and close; where that fails, it can be repeated.

        Returns:
            dict: the file's part of the manifest.
        """
        if not self._file.closed:
            with described_write_errors(self.path):
                os.fsync(self._file.fileno())
                self._file.close()
        return {'name': self.path.name, 'size': self.size, 'checksum': self.checksum}

    def discard(self) -> None:
        """Delete the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class SegmentWriter:
    """A segment that is still growing on disk.

    Args:
        folder: folder of the index.
        dim: length of the descriptors.
        dtype: their type, or None where another index file holds them.
    """

    def __init__(self, folder: Path, dim: int, dtype: str | None) -> None:
        self._dim, self._dtype = dim, dtype
        token = secrets.token_hex(8)
        parts = ('rows', 'names') if dtype is None else ('descriptors', 'rows', 'names')
        self._files = {part: GrowingFile(folder / f'{token}.{part}') for part in parts}
        self._segment: Segment | None = None

    def __len__(self) -> int:
        return self._files['rows'].size // ROW.itemsize

    def write_descriptors(self, block: np.ndarray) -> None:
        """Write descriptors; their rows must follow.

        Args:
            block: shape ``(B, D)``.
        """
        self._files['descriptors'].write(np.ascontiguousarray(block, self._dtype))

    def write_rows(self, rows: np.ndarray, names: Any) -> None:
        """Write names and annotations.

        Args:
            rows: shape ``(B,)`` :data:`ROW`, ``end`` counted from the first of them.
            names: their names one after another, bytes or uint8.
        """
        rows = rows.copy()
        rows['end'] += self._files['names'].size
        self._files['names'].write(names)
        self._files['rows'].write(rows)

    def mark(self) -> dict[str, tuple[int, int]]:
        """Return a state to which :meth:`restore` can go back."""
        return {part: (file.size, file.checksum) for part, file in self._files.items()}

    def restore(self, state: dict[str, tuple[int, int]]) -> None:
        """Take back what was written since.

        Args:
            state: what :meth:`mark` returned.
        """
        self._segment = None
        for part, file in self._files.items():
            file.restore(*state[part])

    def segment(self) -> Segment:
        """Map what was written so far."""
        if self._segment is None or len(self._segment) != len(self):
            files = {part: file.map() for part, file in self._files.items()}
            self._segment = Segment.mapped(files, self._dim, self._dtype or 'float32')
        return self._segment

    def finish(self) -> Segment:
        """Wait until the disk has everything, close, and map it."""
        segment = self.segment()
        segment.entry = {
            'rows': len(self),
            'files': {part: file.close() for part, file in self._files.items()},
        }
        return segment

    def discard(self) -> None:
        """Delete the files."""
        for file in self._files.values():
            file.discard()


def file_entry(path: Path) -> dict[str, Any]:
    """Describe a finished file for the manifest.

    Args:
        path: the file.

    Returns:
        dict: name, size and checksum.
    """
    size = checksum = 0
    with open(path, 'rb') as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
    return {'name': path.name, 'size': size, 'checksum': checksum}
