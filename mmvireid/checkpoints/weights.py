"""The parameters in a checkpoint, and whether they are those of a model."""

import os
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn

from mmvireid.utils.errors import CheckpointError
from mmvireid.utils.wrappers import unwrap_names

#: Entry of a file that holds its parameters: MMEngine's and ours, AGW's release, fast-reid.
WEIGHTS_ENTRIES = ('state_dict', 'net', 'model')


def find_weights(content: Any, source: str | os.PathLike) -> OrderedDict[str, Tensor]:
    """Find the parameters in what a checkpoint holds.

    Args:
        content: what the file holds: parameters by name, alone or below one of
            :data:`WEIGHTS_ENTRIES`.
        source: where it came from, for the message.

    Returns:
        Parameters by name, without the ``module.`` that parallel wrappers put first.

    Raises:
        CheckpointError: if there are none; the message names what was found instead.
    """
    entries = content if isinstance(content, Mapping) else {}
    for found in (*(entries.get(name) for name in WEIGHTS_ENTRIES), entries):
        if isinstance(found, Mapping) and any(isinstance(v, Tensor) for v in found.values()):
            weights = unwrap_names(found)
            # Versions of the modules, by which PyTorch reads old files.
            weights._metadata = getattr(found, '_metadata', {})
            return weights
    names = ', '.join(map(str, list(entries)[:8])) or type(content).__name__
    raise CheckpointError(
        f'"{source}" holds no parameters by name, neither at its first level nor under '
        f'{", ".join(WEIGHTS_ENTRIES)}, only {names}: give a checkpoint of a training.')


def training_only_weights(model: nn.Module) -> frozenset[str]:
    """Name the weights that only training needs: descriptors do not come from them.

    A module says so itself, by ``training_only``, the names of its parts or parameters.
    Classifiers depend on who is in the training set, so they differ where a model is
    tested on other people; and an index stays valid when only they have changed.

    Args:
        model: a network.

    Returns:
        Names in its ``state_dict``.
    """
    parts = [f'{prefix}.{part}'.lstrip('.') for prefix, module in model.named_modules()
             for part in getattr(module, 'training_only', ())]
    return frozenset(name for name in model.state_dict()
                     if any(name == part or name.startswith(f'{part}.') for part in parts))


def present_names(weights: Mapping[str, Any], model: nn.Module,
                  prefix: str = '') -> OrderedDict[str, Any]:
    """Turn names of weights that were saved by an older version into those of today.

    A module tells which of its parts had another name, by ``renamed_parts``, a dict from
    the old name to the new.

    Args:
        weights: parameters by name.
        model: the network that they are for.
        prefix: what stands before the names in the model.

    Returns:
        The same weights; those of no renamed part keep their names.
    """
    parts = {f'{prefix}{old}.': f'{prefix}{new}.' for old, new in _renamed_parts(model).items()}
    return _with_names(weights, parts)


def first_names(weights: Mapping[str, Any], model: nn.Module) -> OrderedDict[str, Any]:
    """Turn names of weights of today into those that their parts had first.

    What is known by its weights, such as an index, stays the same when a part is renamed.

    Args:
        weights: parameters by name.
        model: the network that they are of.

    Returns:
        The same weights.
    """
    parts = {f'{new}.': f'{old}.' for old, new in _renamed_parts(model).items()}
    return _with_names(weights, parts)


def _renamed_parts(model: nn.Module) -> dict[str, str]:
    """Return old path -> new path of every part with another name than it had."""
    return {
        f'{prefix}.{old}'.lstrip('.'): f'{prefix}.{new}'.lstrip('.')
        for prefix, module in model.named_modules()
        for old, new in getattr(module, 'renamed_parts', {}).items()
        if not hasattr(module, old)  # a subclass may use the old name for a part of its own
    }


def _with_names(weights: Mapping[str, Any], parts: dict[str, str]) -> OrderedDict[str, Any]:
    """Replace the beginnings of names."""

    def renamed(name: str) -> str:
        start = next((part for part in parts if name.startswith(part)), '')
        return parts.get(start, '') + name[len(start):]

    result = OrderedDict((renamed(name), value) for name, value in weights.items())
    if hasattr(weights, '_metadata'):
        result._metadata = weights._metadata
    return result


def check_weights(model: nn.Module,
                  weights: Mapping[str, Any],
                  source: str,
                  needed: Literal['all', 'descriptors', 'backbone']) -> None:
    """Refuse the weights of another model.

    Args:
        model: the network that they are for.
        weights: parameters by name, of :func:`find_weights` and :func:`present_names`.
        source: name of the checkpoint for the message.
        needed: what has to be there, in the right shape. ``'all'`` also refuses weights that
            the model lacks; ``'descriptors'`` is all but :func:`training_only_weights`.

    Raises:
        CheckpointError: if parameters disagree; names how many, and the first.
    """
    own = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    ignored = training_only_weights(model) if needed == 'descriptors' else ()
    wrong = [
        _difference(name, value, weights.get(name)) for name, value in own.items()
        if name not in ignored and (needed != 'backbone' or 'backbone' in name.split('.'))
        and getattr(weights.get(name), 'shape', None) != value.shape
    ]
    if needed == 'all':
        wrong += [f'{name} (not in the model)' for name, value in weights.items()
                  if isinstance(value, Tensor) and name not in own]
    if wrong:
        raise CheckpointError(
            f'"{source}" was made by another model: {len(wrong)} of {len(own)} parameters do not '
            f'fit, first {wrong[0]}; give the checkpoint that belongs to this config, or the '
            'config saved beside the checkpoint.')


def _difference(name: str, own: Tensor, loaded: Any) -> str:
    """Say how one parameter disagrees."""
    if not isinstance(loaded, Tensor):
        return f'{name} (missing)'
    return f'{name} (shape {tuple(loaded.shape)}, the model has {tuple(own.shape)})'


def load_weights(model: nn.Module, content: Any, source: str | os.PathLike) -> None:
    """Fill a network for testing.

    Args:
        model: the network. What only training needs may differ, and then stays as it is.
        content: what a checkpoint holds.
        source: its name, for messages.

    Raises:
        CheckpointError: if the weights are those of another model.
    """
    weights = present_names(find_weights(content, source), model)
    check_weights(model, weights, str(source), needed='descriptors')
    own = model.state_dict()
    fitting = {name: value for name, value in weights.items()
               if name in own and getattr(value, 'shape', None) == own[name].shape}
    model.load_state_dict(fitting, strict=False)
