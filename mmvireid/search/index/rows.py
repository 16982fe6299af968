"""What an index knows of each image besides its descriptor."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmvireid.utils.errors import GalleryIndexError

#: One row. ``end`` is where its name ends among the names of its segment.
ROW = np.dtype([(name, '<i8') for name in ('number', 'identity', 'camera', 'modality', 'end')])
#: Value of an annotation that is not known.
UNKNOWN = {'identity': -1, 'camera': 0, 'modality': -1}

Ids = Sequence[str] | Sequence[int] | np.ndarray


@dataclass(frozen=True)
class GalleryRows:
    """Names and annotations of rows of an index, all arrays of one shape.

    Args:
        ids: names as they were added, of the shape of the row numbers asked for, as all
            that follow: strings, usually paths, in an array of objects, or int64. None or -1
            where the row was -1, that is, no image.
        identity: the same shape, int64, -1 where unknown.
        camera: the same shape, int64, 0 where unknown.
        modality: the same shape, int64, 0 visible, 1 infrared, -1 where unknown.
    """

    ids: np.ndarray
    identity: np.ndarray
    camera: np.ndarray
    modality: np.ndarray


def encode_rows(num: int, first: int, ids: Ids | None,
                annotations: dict) -> tuple[np.ndarray, bytes, str]:
    """Pack names and annotations into the form in which they are stored.

    Args:
        num: number of rows N.
        first: number of the first, where ``ids`` is None.
        ids: shape ``(N,)``, names, strings or whole numbers.
        annotations: for each key of :data:`UNKNOWN` shape ``(N,)`` int, or None.

    Returns:
        tuple: shape ``(N,)`` :data:`ROW`, the names one after another in UTF-8, and
        ``'text'`` or ``'number'``.

    Raises:
        GalleryIndexError: if the lengths differ, or names are neither strings nor whole
            numbers.
    """
    rows = np.zeros(num, ROW)
    for name, value in annotations.items():
        column = np.full(num, UNKNOWN[name]) if value is None else np.asarray(value)
        check_length(name, column, num)
        if num and not np.issubdtype(column.dtype, np.integer):
            raise GalleryIndexError(f'{name} must be whole numbers, not {column.dtype}.')
        rows[name] = column
    if ids is None:
        ids = np.arange(first, first + num)
    check_length('ids', ids, num)
    values = ids.tolist() if hasattr(ids, 'tolist') else list(ids)
    if all(isinstance(value, (str, os.PathLike)) for value in values):
        # File names are bytes: one that is not UTF-8 comes back as it was.
        encoded = [os.fspath(value).encode('utf-8', 'surrogateescape') for value in values]
        rows['number'] = np.arange(first, first + num)
        rows['end'] = np.cumsum([len(name) for name in encoded], dtype=np.int64)
        return rows, b''.join(encoded), 'text'
    if all(isinstance(value, (int, np.integer)) and not isinstance(value, bool)
           for value in values):
        rows['number'] = values
        return rows, b'', 'number'
    raise GalleryIndexError('ids must be all strings (paths, usually) or all whole numbers.')


def check_length(name: str, values: Any, num: int) -> None:
    """Check that there is one value for each row.

    Args:
        name: what the values are.
        values: anything with a length.
        num: number of rows.

    Raises:
        GalleryIndexError: if not.
    """
    if len(values) != num:
        raise GalleryIndexError(f'{num} descriptors came with {len(values)} {name}.')
