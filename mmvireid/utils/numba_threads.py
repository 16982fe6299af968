"""Compiled loops that leave PyTorch's threads alone, and need no place to write to."""

import threading
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import numba
import torch

_warned = False


def kernel_part(function: Callable | None = None, **options: Any) -> Callable:
    """Mark a function that kernels call, to be compiled as a part of them.

    It has no cache of its own: it is kept with each kernel that calls it.

    Args:
        function: the function; None where options are given first.
        **options: options of :func:`numba.njit`.

    Returns:
        What numba can compile, or a decorator.
    """
    return numba.njit(function, nogil=True, **options)


def parallel_kernel(**options: Any) -> Callable[[Callable], Callable]:
    """Compile a function with numba, its ``prange`` loops on PyTorch's threads.

    Numba and PyTorch share one OpenMP runtime. A numba loop that runs on another
    number of threads changes that number for PyTorch too, and with it the order in
    which PyTorch sums: after a validation, training would go on with other rounding
    than after none, and a resumed run would differ from an unbroken one. So a kernel
    runs on as many threads as PyTorch has been given (``OMP_NUM_THREADS``,
    :func:`torch.set_num_threads`).

    Nothing is compiled, looked for or written before the first call. Compiled code is kept
    in numba's cache for later processes; where no such folder can be written to, because
    somebody else installed the package, for example, it is compiled in each process anew,
    with one warning.

    Args:
        **options: further options of :func:`numba.njit`.

    Returns:
        A decorator.
    """

    def decorate(function: Callable) -> Callable:
        compiled = None
        lock = threading.Lock()

        def build(cache: bool) -> Callable:
            return numba.njit(parallel=True, cache=cache, nogil=True, **options)(function)

        @wraps(function)
        def run(*arguments: Any) -> Any:
            nonlocal compiled
            threads = torch.get_num_threads()
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            try:
                with lock:  # numba's own lock begins only once there is something to compile
                    if compiled is None:
                        compiled = _with_cache_or_without(build)
                try:
                    return compiled(*arguments)
                except OSError as error:
                    # The cache was lost, or its disk is full: numba writes what it compiled
                    # before it runs it, so that the arguments are as they were.
                    _warn(error)
                    compiled = build(cache=False)
                    return compiled(*arguments)
            finally:
                # Numba's first launch gives the shared runtime all cores.
                if torch.get_num_threads() != threads:
                    torch.set_num_threads(threads)

        return run

    return decorate


def _with_cache_or_without(build: Callable[[bool], Callable]) -> Callable:
    """Build a kernel with numba's cache, or without where it finds no place for one."""
    try:
        return build(cache=True)
    except RuntimeError as error:  # "no locator available"
        _warn(error)
        return build(cache=False)


def _warn(error: Exception) -> None:
    """Say once a process why it takes so long."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f'numba cannot keep what it compiles ({error}), so each process compiles again, '
            'which takes up to a minute: set NUMBA_CACHE_DIR to a folder that can be written to',
            stacklevel=4)
