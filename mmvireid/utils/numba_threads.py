"""Compiled loops that leave PyTorch's threads alone."""

from functools import wraps
from typing import Any, Callable

import numba
import torch


def parallel_kernel(**options: Any) -> Callable[[Callable], Callable]:
    """Compile a function with numba, its ``prange`` loops on PyTorch's threads.

    Numba and PyTorch share one OpenMP runtime. A numba loop that runs on another
    number of threads changes that number for PyTorch too, and with it the order in
    which PyTorch sums: after a validation, training would go on with other rounding
    than after none, and a resumed run would differ from an unbroken one. So a kernel
    runs on as many threads as PyTorch has been given (``OMP_NUM_THREADS``,
    :func:`torch.set_num_threads`).

    Args:
        **options: further options of :func:`numba.njit`.

    Returns:
        A decorator.
    """

    def decorate(function: Callable) -> Callable:
        compiled = numba.njit(parallel=True, cache=True, nogil=True, **options)(function)

        @wraps(function)
        def run(*arguments: Any) -> Any:
            threads = torch.get_num_threads()
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            try:
                return compiled(*arguments)
            finally:
                # Numba's first launch gives the shared runtime all cores.
                if torch.get_num_threads() != threads:
                    torch.set_num_threads(threads)

        run.compiled = compiled
        return run

    return decorate
