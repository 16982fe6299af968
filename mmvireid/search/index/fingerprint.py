"""Tell models apart by their weights."""

import hashlib
from collections.abc import Mapping

import torch
from torch import nn

from mmvireid.utils.errors import InputError
from mmvireid.utils.wrappers import unwrap_names


def model_fingerprint(model: nn.Module | Mapping[str, torch.Tensor], *details: str) -> str:
    """Return a name that two models share only if their weights are equal.

    Descriptors of different models cannot be compared, and nothing in the numbers shows
    it. The name depends on the names, types, shapes and values of the weights, not on the
    device that they are on, nor on a wrapper for several processes.

    Args:
        model: a network, or its ``state_dict``.
        *details: what else the descriptors depend on, such as the size of the images or
            the name of the descriptor.

    Returns:
        str: SHA-256 in hexadecimal digits, 64 characters.

    Raises:
        InputError: if there are no weights, as in a checkpoint from which ``state_dict``
            was not taken.

    Examples:
        >>> from torch import nn
        >>> from mmvireid.search import model_fingerprint
        >>> layer = nn.Linear(2, 3)
        >>> model_fingerprint(layer) == model_fingerprint(layer.state_dict())
        True
        >>> model_fingerprint(layer, 'base') == model_fingerprint(layer, 'r2i')
        False
    """
    state = model.state_dict() if isinstance(model, nn.Module) else model
    weights = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    if not weights:
        raise InputError('a fingerprint needs a network or its state_dict, '
                         'and what was given holds no weights at its first level')
    weights = unwrap_names(weights)
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\0'.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    for detail in details:
        digest.update(f'\0{detail}'.encode())
    return digest.hexdigest()
