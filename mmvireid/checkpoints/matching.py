"""Load weights only where they are those of the network."""

from collections import OrderedDict
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from mmvireid.utils.errors import CheckpointError

from .weights import find_weights


def load_matching_weights(module: nn.Module,
                          checkpoint: Any,
                          source: str,
                          prefix: str | None = None) -> None:
    """Load the weights of a network, and refuse those of another one.

    Every parameter of the module needs its weights. The checkpoint may hold more
    where the module has nothing of that name, such as a classifier or a stage that is
    left out, but not more inside a part that the module has (the blocks of a deeper
    network). Parts that no checkpoint has, for example non-local blocks, say so by the
    attribute ``from_scratch = True``.

    PyTorch's own loading compares, so families that adapt the weights on the way
    (position embeddings to another image size, one stem to two copies) still can.

    Args:
        module: network to fill.
        checkpoint: what a file holds: parameters by name, alone or as ``state_dict``.
        source: name of the checkpoint for messages.
        prefix: name of the part of the checkpoint to load, None for all of it.

    Raises:
        CheckpointError: if a parameter disagrees; the message names the first one.
    """
    weights = find_weights(checkpoint, source)
    if prefix is not None:
        weights = _weights_below(weights, prefix, source)
    try:
        missing, unexpected = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        # PyTorch lists what disagrees, one line each, below a heading.
        first = str(error).strip().splitlines()[:2][-1].strip().rstrip('.')
        raise _another_network(module, source, first) from error

    untouched = tuple(
        f'{name}.' for name, part in module.named_modules()
        if getattr(part, 'from_scratch', False))
    parameters = {name for name, _ in module.named_parameters()}
    missing = [name for name in missing
               if name in parameters and not name.startswith(untouched)]
    if missing:
        longest = max(missing, key=len)
        inside = next((name for name in weights if name.endswith(f'.{longest}')), None)
        if inside is not None:
            raise CheckpointError(
                f'"{source}" holds this network as a part of a larger one: set '
                f'model.backbone.init_cfg.prefix={inside[:-len(longest) - 1]}.')
        raise _another_network(module, source, f'it lacks {missing[0]}')
    parts = {name for name, _ in module.named_children()}
    too_many = [name for name in unexpected
                if name.split('.')[0] in parts and name.endswith(('.weight', '.bias'))]
    if too_many:
        raise _another_network(
            module, source, f'the network has no {too_many[0]}, which the weights have')
    left_out = sorted({name.split('.')[0] for name in unexpected})
    print_log(
        f'Loaded the weights of {source}'
        f'{" without " + ", ".join(left_out) if left_out else ""}.',
        logger='current')


def _weights_below(weights: OrderedDict[str, Tensor], prefix: str,
                   source: str) -> OrderedDict[str, Tensor]:
    """Return the weights of one part of a larger model."""
    start = prefix if prefix.endswith('.') else f'{prefix}.'
    found = OrderedDict((name[len(start):], value) for name, value in weights.items()
                        if name.startswith(start))
    if not found:
        raise CheckpointError(
            f'"{source}" has no parameters under "{prefix}": set model.backbone.init_cfg.prefix '
            'to a part that it has.')
    return found


def _another_network(module: nn.Module, source: str, first: str) -> CheckpointError:
    example = 'weights of this network'
    if type(module).__name__ == 'ResNet' and getattr(module, 'base_channels', 0) == 64:
        example = f'torchvision://resnet{module.depth}'
    return CheckpointError(
        f'the weights of "{source}" are those of another network than '
        f'{type(module).__name__} ({first}): set model.backbone.init_cfg.checkpoint={example}, or '
        'model.backbone.init_cfg=None to train from scratch.')
