"""Ctrl-C that is remembered until the program has stopped."""

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, Optional

_noted = False


def _note(number: int, frame: Optional[FrameType]) -> None:
    """Answer a signal as Python does, and remember that it came."""
    global _noted
    _noted = True
    signal.default_int_handler(number, frame)


@contextmanager
def remembered_interrupts() -> Iterator[None]:
    """Remember a Ctrl-C within the block, in case a library swallows it.

    Python raises ``KeyboardInterrupt`` wherever the program happens to be. In a
    callback from C (numba's compiler has them), in a finaliser or below a bare
    ``except`` it is lost, and the program goes on as if nothing had been asked. Here it
    is noted as well: :func:`raise_noted_interrupt` raises it again, and so does the end
    of the block. Every further Ctrl-C acts at once, as usual.

    Nothing changes outside the main thread, where Python does not allow it, nor where
    SIGINT is ignored or answered by somebody else, such as another block of this kind.

    Raises:
        KeyboardInterrupt: at the end of the block, if an interrupt has been noted; also
            in place of an error, which may be what a library made of it.
    """
    global _noted
    if (threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler):
        yield
        return
    signal.signal(signal.SIGINT, _note)
    try:
        yield
        raise_noted_interrupt()
    except Exception as error:
        if _noted:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _noted = False


def raise_noted_interrupt() -> None:
    """Stop if Ctrl-C came earlier and was swallowed.

    Raises:
        KeyboardInterrupt: if an interrupt has been noted.
    """
    if _noted:
        raise KeyboardInterrupt
