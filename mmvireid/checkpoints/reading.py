"""Read checkpoint files; nothing in them is executed."""

import os
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import get_torchvision_models

from mmvireid.utils.errors import CheckpointError, CheckpointUnavailableError
from mmvireid.utils.paths import expand_path

from .weights import WEIGHTS_ENTRIES, find_weights

PathLike = str | os.PathLike
#: Kinds of addresses that checkpoints are fetched from.
SCHEMES = ('torchvision', 'http', 'https')
#: First bytes of PyTorch's file format before 1.6: its number, pickled.
_OLD_FORMAT = pickle.dumps(0x1950a86a20f9469cfc6c, protocol=2)
#: Part of a file name that torchvision gives to weights: the start of their hash.
_HASH_IN_NAME = re.compile(r'-([a-f0-9]{8,})\.')


class _SavedHistory(HistoryBuffer):
    """Takes the place of MMEngine's ``HistoryBuffer`` while a file is read.

    MMEngine lets a file replace functions of the class, for the whole process. Only the
    numbers are taken.
    """

    def __setstate__(self, state: dict) -> None:
        """Take the numbers, and become what MMEngine expects."""
        history, counts = (np.asarray(state[name]) for name in ('_log_history', '_count_history'))
        self.__init__(history, counts, int(state['max_length']))
        self.__class__ = HistoryBuffer


def _statistics_method(owner: type, name: str) -> None:
    """Takes the place of ``getattr`` while a file is read.

    A ``HistoryBuffer`` is saved with references to its own functions; they are not needed.
    """


def allowed_objects() -> list[Callable | tuple[Callable, str]]:
    """List what a checkpoint may hold besides tensors, numbers, text and containers.

    These are NumPy's arrays and scalars of plain types (no objects) and MMEngine's log.

    Returns:
        Argument of :func:`torch.serialization.safe_globals`.
    """
    make_array, make_scalar = (value.__reduce__()[0] for value in (np.zeros(1), np.float64(1)))
    plain_types = {type(np.dtype(code)) for code in np.typecodes['All'] if code not in 'OV'}
    return [
        np.ndarray, np.dtype, *plain_types,
        # NumPy 2 has renamed the module; files name either.
        *((function, f'numpy.{core}.multiarray.{name}') for core in ('core', '_core')
          for function, name in ((make_array, '_reconstruct'), (make_scalar, 'scalar'))),
        (_SavedHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (_statistics_method, 'builtins.getattr'),
    ]


def read_checkpoint(source: PathLike, map_location: Any = 'cpu') -> Any:
    """Read a checkpoint without executing anything in it.

    A pickled file may name any function, to be called while it is read. PyTorch's
    ``weights_only`` reading calls none but those on a list, :func:`allowed_objects`.

    Args:
        source: file, or address of :func:`fetch_checkpoint`.
        map_location: as in :func:`torch.load`.

    Returns:
        What it holds.

    Raises:
        CheckpointError: if it is missing or broken, or holds more than is allowed.
    """
    path = fetch_checkpoint(source)
    try:
        with path.open('rb') as file:
            file.read(1)
    except OSError as error:
        raise CheckpointError(f'"{source}" cannot be read ({error.strerror}).') from error
    try:
        with torch.serialization.safe_globals(allowed_objects()), warnings.catch_warnings():
            # Another version of pickle is said in our own words, or works.
            warnings.filterwarnings('ignore', message='Detected pickle protocol')
            return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file, OSError among them
        raise CheckpointError(_describe_read_error(source, path, error)) from error


def _describe_read_error(source: PathLike, path: Path, error: Exception) -> str:
    """Say why a file cannot be read as a checkpoint."""
    convert = ('if you trust who made it, write its weights to a new file with '
               'tools/model_converters/convert_checkpoint.py')
    found = re.search(r'GLOBAL (\S+)|(?:got|function) <([^>]+)>', str(error))
    if found:
        return (f'"{source}" holds more than weights and numbers ({found[1] or found[2]}), and '
                f'reading that could execute anything: {convert}.')
    with path.open('rb') as file:
        start = file.read(len(_OLD_FORMAT))
    if start[:1] == b'\x80' and start != _OLD_FORMAT:
        return f'"{source}" is a plain pickle file, no checkpoint of PyTorch: {convert}.'
    cure = 'copy it again, or take an earlier one from the same folder'
    if '://' in str(source):
        cure = f'delete {path}, so that it is downloaded again'
    return f'"{source}" is not a complete checkpoint ({type(error).__name__}): {cure}.'


def check_checkpoint(source: PathLike) -> None:
    """Make sure, before other work is done, that a checkpoint file can be read.

    Args:
        source: file; an address is left to be fetched later.

    Raises:
        CheckpointError: as :func:`read_checkpoint`.
    """
    if '://' not in str(source):
        read_checkpoint(source, map_location='meta')


def read_for_engine(source: str, map_location: Any = None) -> dict:
    """Read a checkpoint in the form that MMEngine writes, for MMEngine.

    Args:
        source: as in :func:`read_checkpoint`.
        map_location: as in :func:`torch.load`.

    Returns:
        What it holds, with the parameters under ``state_dict``.

    Raises:
        CheckpointError: also if it holds no parameters.
    """
    content = read_checkpoint(source, map_location)
    weights = find_weights(content, source)
    below = any(isinstance(content.get(name), Mapping) for name in WEIGHTS_ENTRIES)
    rest = dict(content) if below else {}
    if isinstance(rest.get('meta'), Mapping):
        # MMEngine executes this entry when it resumes. It writes ``cfg`` instead, as text.
        rest['meta'] = {key: value for key, value in rest['meta'].items() if key != 'config'}
    return {**rest, 'state_dict': weights}


def fetch_checkpoint(source: PathLike) -> Path:
    """Find the file of a checkpoint on this machine; download it where that is needed.

    One process of each machine downloads, and all processes agree on success, so that
    never one of them goes on without what another has. Files stay in PyTorch's cache.

    Args:
        source: file, ``http(s)://`` address, or ``torchvision://<model>``.

    Returns:
        The file.

    Raises:
        CheckpointError: if there is no such file, model or kind of address.
        CheckpointUnavailableError: if the download fails.
    """
    if '://' not in str(source):
        path = Path(expand_path(source))
        if not path.is_file():
            raise CheckpointError(f'there is no checkpoint "{source}".')
        return path
    url, known_hash = _address(str(source))
    path = cached_file(source)
    reason = ''
    if int(os.environ.get('LOCAL_RANK', 0)) == 0 and not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, os.fspath(path), known_hash)
        except (HTTPException, OSError, EOFError, RuntimeError) as error:
            # No network and time-outs are OSErrors, another hash is a RuntimeError.
            reason = str(error) or type(error).__name__
    failed = [text for text in all_gather_object(reason) if text]
    if failed:
        raise CheckpointUnavailableError(
            f'"{source}" cannot be downloaded ({failed[0]}): put the file at {path}, or name a '
            'file.')
    return path


def cached_file(source: PathLike) -> Path:
    """Return where a download is kept.

    Args:
        source: address of :func:`fetch_checkpoint`.

    Raises:
        CheckpointError: if there is no such model or kind of address.
    """
    url, _ = _address(str(source))
    return Path(torch.hub.get_dir()) / 'checkpoints' / url.split('?')[0].rsplit('/', 1)[-1]


def _address(source: str) -> tuple[str, str | None]:
    """Return the URL behind an address, and the start of its hash where the name has it."""
    scheme, name = source.split('://', 1)
    if scheme not in SCHEMES:
        raise CheckpointError(
            f'weights cannot come from "{source}": name a file, an http(s):// address or '
            'torchvision://<model>.')
    if scheme != 'torchvision':
        return source, None  # a dash in the names of others means nothing
    models = get_torchvision_models()
    if name not in models:
        raise CheckpointError(f'torchvision has no pre-trained model "{name}".')
    found = _HASH_IN_NAME.search(models[name])
    return models[name], found and found[1]
