"""Keep distances and logarithms out of half precision."""

import torch
from torch import Tensor


def without_autocast(like: Tensor) -> torch.autocast:
    """Return a context in which nothing on the device of ``like`` is cast down.

    Exponentials of similarities divided by a small temperature, logarithms of
    probabilities and differences of squares lose all their digits in half
    precision, so losses and graphs run inside this context.

    Args:
        like: any tensor, of any shape, on the device in question.

    Returns:
        A context manager.
    """
    return torch.autocast(like.device.type, enabled=False)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Widen half precision to float32 and leave other types as they are.

    Args:
        tensor: any floating point tensor, of any shape.

    Returns:
        The same values and shape in float32 or float64.
    """
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.float()
    return tensor
