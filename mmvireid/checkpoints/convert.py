"""Bring a checkpoint of other code into a form that can be read without executing anything."""

import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from mmvireid.utils.errors import CheckpointError
from mmvireid.utils.files import write_atomically

#: Values that :func:`mmvireid.checkpoints.read_checkpoint` gives back as they are.
_PLAIN = (str, bytes, bool, int, float, complex, type(None), np.generic, HistoryBuffer,
          torch.dtype, torch.device, torch.Size)


class _Nothing:
    """What takes the place of a value that is left out."""


def convert_checkpoint(source: str | os.PathLike, out: str | os.PathLike) -> list[str]:
    """Load a file WITHOUT PROTECTION and write what is weights, numbers and text in it.

    Loading executes whatever the file holds, with the rights of the person who calls this:
    only for files of people one trusts. Modules become their ``state_dict``.

    Args:
        source: the file, in any of PyTorch's formats or a plain pickle.
        out: the new file.

    Returns:
        The entries that were left out, for example ``args (Namespace)``.

    Raises:
        CheckpointError: if the file cannot be loaded, or holds nothing that can be kept.
    """
    if not Path(source).is_file():
        raise CheckpointError(f'there is no checkpoint "{source}".')
    try:
        content = _load_unprotected(source)
    except (ImportError, AttributeError) as error:
        raise CheckpointError(
            f'"{source}" needs the code that it was saved with ({error}): start with '
            'PYTHONPATH=FOLDER, the folder of that code.') from error
    except Exception as error:  # what a broken file raises has no common kind
        raise CheckpointError(
            f'"{source}" cannot be loaded ({type(error).__name__}): copy it again.') from error
    left_out: list[str] = []
    kept = _plain(content, '', left_out)
    if not kept or kept is _Nothing:
        raise CheckpointError(f'"{source}" holds nothing that can be kept.')
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    write_atomically(buffer.getvalue(), out)
    return left_out


def _load_unprotected(source: str | os.PathLike) -> Any:
    """Load a file of PyTorch, or a plain pickle."""
    try:
        return torch.load(source, map_location='cpu', weights_only=False)
    except (pickle.UnpicklingError, RuntimeError) as error:
        if 'magic number' not in str(error):
            raise
    with open(source, 'rb') as file:
        return pickle.load(file)


def _plain(value: Any, where: str, left_out: list[str]) -> Any:
    """Copy what can be kept of a value; note what cannot."""
    if isinstance(value, nn.Module):
        value = value.state_dict()
    if isinstance(value, torch.Tensor):
        return value.detach().as_subclass(torch.Tensor)
    if isinstance(value, _PLAIN) or (isinstance(value, np.ndarray) and not value.dtype.hasobject):
        return value
    if isinstance(value, Mapping):
        found = ((key, _plain(item, f'{where}.{key}'.lstrip('.'), left_out))
                 for key, item in value.items())
        kept = OrderedDict((key, item) for key, item in found if item is not _Nothing)
        if hasattr(value, '_metadata'):
            kept._metadata = value._metadata
        return kept
    if isinstance(value, (list, tuple)):
        found = [_plain(item, f'{where}[{i}]', left_out) for i, item in enumerate(value)]
        kept = [item for item in found if item is not _Nothing]
        return tuple(kept) if isinstance(value, tuple) else kept
    left_out.append(f'{where or "the whole"} ({type(value).__name__})')
    return _Nothing
