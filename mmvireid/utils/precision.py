"""Where fewer digits would change the outcome: full float32, and nothing in half precision."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def full_precision(like: Tensor) -> Iterator[None]:
    """Compute without autocast and without the fast imitations of float32.

    Which neighbour is nearer is often decided in the sixth digit. TF32 and bfloat16 keep
    three, and a program that allows them for its training (``torch.autocast``,
    ``torch.set_float32_matmul_precision``, ``torch.backends.fp32_precision``) would change
    rankings and clusters without a word. All settings are as before afterwards.

    Args:
        like: any tensor, of any shape, on the device in question.

    Yields:
        None: to the block that computes.
    """
    with torch.autocast(like.device.type, enabled=False):
        backend = torch.backends.cuda if like.is_cuda else torch.backends.mkldnn
        matmul = getattr(backend, 'matmul', None)
        if hasattr(matmul, 'fp32_precision'):
            before = matmul.fp32_precision
            matmul.fp32_precision = 'ieee'
            try:
                yield
            finally:
                matmul.fp32_precision = before
        else:
            # Older versions of PyTorch have one setting for all devices.
            before = torch.get_float32_matmul_precision()
            torch.set_float32_matmul_precision('highest')
            try:
                yield
            finally:
                torch.set_float32_matmul_precision(before)


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
