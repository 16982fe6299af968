"""Matrix products in full float32, whatever the program around them asked for."""

from contextlib import contextmanager
from typing import Iterator

import torch


@contextmanager
def full_precision(like: torch.Tensor) -> Iterator[None]:
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
