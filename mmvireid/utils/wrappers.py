"""Models in a wrapper for several processes: the network inside, and its own names."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

#: What wrappers put before the names of all weights.
_PREFIX = 'module.'


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return the network inside ``DistributedDataParallel`` and its kind.

    Args:
        model: a network, in a wrapper or not.
    """
    return model.module if is_model_wrapper(model) else model


def unwrap_names(weights: Mapping[str, Any]) -> OrderedDict[str, Any]:
    """Give weights the names that they have in the network itself.

    Args:
        weights: parameters by name, of a network in a wrapper or not.

    Returns:
        The same in the same order, without the ``module.`` that wrappers put first.

    Examples:
        >>> from mmvireid.utils.wrappers import unwrap_names
        >>> list(unwrap_names({'module.head.weight': 1, 'module.head.bias': 2}))
        ['head.weight', 'head.bias']
    """
    plain = OrderedDict((str(name).removeprefix(_PREFIX), value)
                        for name, value in weights.items())
    # Two that would become one: then it is a part of the network that is called so.
    return plain if len(plain) == len(weights) else OrderedDict(weights)
