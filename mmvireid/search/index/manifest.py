"""The file that makes a folder an index.

``index.json`` names every other file of the folder, with size and checksum. It is replaced
as a whole, after they are on disk: at any moment it describes one complete index.
"""

import json
import os
import re
import secrets
import zlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmvireid.utils.errors import GalleryIndexError
from mmvireid.utils.files import write_atomically

from .options import METRICS, complete_options
from .rows import ROW
from .segments import file_entry

MANIFEST = 'index.json'
FORMAT = 1
#: Names of the files that an index writes, and nobody else.
_OWN_FILE = re.compile(r'[0-9a-f]{16}\.(descriptors|rows|names|faiss)|\.index\.json\..*')
#: Entries of ``index.json`` -> their types.
_TYPES = dict(
    kind=(str, ), metric=(str, ), dim=(int, ), fingerprint=(str, ), ids=(str, type(None)),
    options=(dict, ), segments=(list, ), index=(dict, type(None)), revision=(str, ))


@dataclass(frozen=True)
class Manifest:
    """Content of ``index.json``.

    Args:
        kind: a key of :data:`~mmvireid.search.index.options.INDEX_KINDS`.
        metric: ``'cosine'`` or ``'l2'``.
        dim: length of the descriptors.
        fingerprint: the model that made them, empty where unknown.
        ids: ``'text'`` or ``'number'``, None before the first row.
        options: options of the kind.
        segments: rows of each segment, and its files.
        index: faiss's file, None where there is none.
        revision: differs at every save.
    """

    kind: str
    metric: str
    dim: int
    fingerprint: str
    ids: str | None
    options: dict[str, Any]
    segments: list[dict[str, Any]]
    index: dict[str, Any] | None
    revision: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return sum(segment['rows'] for segment in self.segments)

    def files(self) -> list[dict[str, Any]]:
        """List every file: name, size and checksum."""
        found = [file for segment in self.segments for file in segment['files'].values()]
        return found + ([self.index] if self.index else [])


def has_manifest(folder: Path) -> bool:
    """Tell whether a folder holds an index.

    Args:
        folder: the folder, which need not exist.

    Returns:
        bool: whether it does.
    """
    return (folder / MANIFEST).exists()


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Make the files of a folder the index, and delete those of the one before.

    Args:
        folder: the folder.
        manifest: what it shall be.

    Returns:
        Manifest: the same with a revision of its own.
    """
    manifest = replace(manifest, revision=secrets.token_hex(8))
    content = {'format': FORMAT, **asdict(manifest)}
    content['checksum'] = _checksum(content)
    _sync_folder(folder)
    write_atomically(json.dumps(content, indent=1).encode(), folder / MANIFEST)
    _sync_folder(folder)
    kept = {file['name'] for file in manifest.files()}
    for path in folder.iterdir():
        if _OWN_FILE.fullmatch(path.name) and path.name not in kept:
            path.unlink(missing_ok=True)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read what a folder holds.

    Args:
        folder: the folder.

    Returns:
        Manifest: its content.

    Raises:
        GalleryIndexError: if there is none, or it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise GalleryIndexError(f'there is no gallery index in {folder}: {MANIFEST} is missing.')
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise GalleryIndexError(f'{path} is damaged: it cannot be read as JSON.') from error
    if not isinstance(content, dict) or 'format' not in content:
        raise GalleryIndexError(f'{path} was not written by a gallery index.')
    if content['format'] != FORMAT:
        raise GalleryIndexError(
            f'{path} has format {content["format"]}, this version of mmvireid reads {FORMAT}.')
    if content.pop('checksum', None) != _checksum(content):
        raise GalleryIndexError(f'{path} is damaged: its content does not fit its checksum.')
    content.pop('format')
    fault = _describe_fault(content)
    if fault:
        raise GalleryIndexError(
            f'{path} does not describe a gallery index, {fault}: build the index again.')
    return Manifest(**content)


def _describe_fault(content: dict[str, Any]) -> str:
    """Say what is wrong with the content of a manifest; nothing if it is one.

    A checksum is no signature: a stranger's folder may hold anything, and is believed
    nothing. The files it names are those that an index writes, in its own folder.
    """
    for name, kinds in _TYPES.items():
        if type(content.get(name, ...)) not in kinds:
            return f'its "{name}" is missing or of another type'
    if set(content) != set(_TYPES):
        return f'it has no entry "{min(set(content) - set(_TYPES))}"'
    if content['metric'] not in METRICS or content['ids'] not in (None, 'text', 'number'):
        return f'there is no metric "{content["metric"]}" or kind of ids "{content["ids"]}"'
    if content['dim'] < 1:
        return f'descriptors cannot have {content["dim"]} dimensions'
    try:
        options = complete_options(content['kind'], content['dim'], content['options'])
    except GalleryIndexError as error:
        return str(error).rstrip('.')
    # Bytes of a row in each file of a segment; names are of any length.
    row_sizes: dict[str, int | None] = dict(rows=ROW.itemsize, names=None)
    if content['kind'] == 'torch':
        row_sizes['descriptors'] = content['dim'] * np.dtype(options['dtype']).itemsize
    for segment in content['segments']:
        if not isinstance(segment, dict) or set(segment) != {'rows', 'files'} or not (
                _is_count(segment['rows']) and isinstance(segment['files'], dict)
                and set(segment['files']) == set(row_sizes)):
            return 'a segment lacks its rows or files'
        for part, size in row_sizes.items():
            file = segment['files'][part]
            if not _is_file(file, part) or (size and file['size'] != size * segment['rows']):
                return f'the {part} of a segment are no file of it'
    if content['index'] is not None and not _is_file(content['index'], 'faiss'):
        return 'its faiss file is no file of it'
    return ''


def _is_count(value: Any) -> bool:
    """Tell whether a value is a whole number from 0; JSON's ``true`` is none."""
    return type(value) is int and value >= 0


def _is_file(entry: Any, part: str) -> bool:
    """Tell whether an entry describes a file of the index, by a name that it writes."""
    return (isinstance(entry, dict) and set(entry) == {'name', 'size', 'checksum'}
            and isinstance(entry['name'], str)
            and re.fullmatch(rf'[0-9a-f]{{16}}\.{part}', entry['name']) is not None
            and _is_count(entry['size']) and _is_count(entry['checksum']))


def check_files(folder: Path, manifest: Manifest, verify: bool) -> None:
    """Check that the files of an index are there and whole.

    Args:
        folder: the folder.
        manifest: what it shall hold.
        verify: whether to read them and compare checksums, not only sizes.

    Raises:
        GalleryIndexError: if not.
    """
    for expected in manifest.files():
        path = folder / expected['name']
        if not path.is_file():
            raise GalleryIndexError(f'the index in {folder} is incomplete: '
                                    f'{expected["name"]} is missing.')
        if path.resolve().parent != folder.resolve():
            raise GalleryIndexError(
                f'the index in {folder} is no whole folder: {expected["name"]} is a link to '
                'another place, so copy the file itself.')
        if path.stat().st_size != expected['size'] or (verify and file_entry(path) != expected):
            raise GalleryIndexError(f'the index in {folder} is damaged: {expected["name"]} is '
                                    'not as it was written.')


def _checksum(content: dict[str, Any]) -> int:
    """Return the checksum of everything else in a manifest."""
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _sync_folder(folder: Path) -> None:
    """Wait until the disk knows the names of the files, where the system can tell."""
    if hasattr(os, 'O_DIRECTORY'):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
