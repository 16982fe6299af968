"""Signals that ask a program to end: answered, and remembered until it has stopped.

* Ctrl-C (SIGINT), SIGTERM of a scheduler or container, SIGHUP of a terminal that closes: the
  program ends where it is.
* SIGUSR1, the notice that a scheduler gives before it takes the machine away: training goes on
  to a checkpoint and ends there, see :class:`mmvireid.engine.StopAtCheckpointHook`.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

#: Signal -> what answers it in a program that has not changed it.
_ENDING = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    **({signal.SIGHUP: signal.SIG_DFL} if hasattr(signal, 'SIGHUP') else {}),
}
_NOTICE = getattr(signal, 'SIGUSR1', None)
#: Loaded now: after a fork there may be nobody to release the loader's lock.
_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None
#: Seconds for which a further signal does not disturb the end that the first one has begun: a
#: key pressed twice, or a signal that came from the terminal and from the starting program.
_REPEATED_WITHIN = 1.0
_noted: int | None = None
_noted_at = 0.0
_notice_noted = False
#: What the notice is passed on to: functions that take the signal.
_notice_receivers: list[Callable[[int], None]] = []


class ProgramInterrupt(KeyboardInterrupt):
    """Raised where the program is when a signal asks it to end.

    Args:
        number: the signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


def signal_of(error: KeyboardInterrupt) -> signal.Signals:
    """Return the signal behind an interruption; SIGINT for Python's own.

    Args:
        error: the interruption.
    """
    return getattr(error, 'signal', signal.SIGINT)


def _answer(number: int, frame: FrameType | None) -> None:
    """Remember a signal that asks for the end, and raise it."""
    global _noted, _noted_at
    now, before = time.monotonic(), _noted_at
    _noted = number
    if isinstance(sys.exc_info()[1], KeyboardInterrupt) and now - before < _REPEATED_WITHIN:
        return
    _noted_at = now
    raise ProgramInterrupt(number)


def _note_notice(number: int, frame: FrameType | None) -> None:
    """Remember that the program should end at the next checkpoint."""
    global _notice_noted
    _notice_noted = True
    for receive in _notice_receivers:
        receive(number)


@contextmanager
def notice_passed_on(receive: Callable[[int], None]) -> Iterator[None]:
    """Pass SIGUSR1 on within the block, for a program that waits for another one.

    Args:
        receive: called with the signal when it comes.
    """
    _notice_receivers.append(receive)
    try:
        yield
    finally:
        _notice_receivers.remove(receive)


@contextmanager
def remembered_interrupts() -> Iterator[None]:
    """Answer signals that ask for the end within the block, in case a library swallows one.

    Python raises ``KeyboardInterrupt`` wherever the program happens to be. In a
    callback from C (numba's compiler has them), in a finaliser or below a bare
    ``except`` it is lost, and the program goes on as if nothing had been asked. Here it
    is noted as well: :func:`raise_noted_interrupt` raises it again, and so does the end
    of the block. Every further Ctrl-C acts at once, as usual, but for one that comes within a
    second while the first is being handled. SIGTERM and SIGHUP are answered in the same way,
    also in the first process of a container, where the system would ignore them.

    Nothing changes outside the main thread, where Python does not allow it, nor for a signal
    that is ignored (``nohup``) or answered by somebody else, such as another block of this
    kind.

    Raises:
        ProgramInterrupt: a ``KeyboardInterrupt`` that knows its signal: also at the end of the
            block, if one has been noted, and in place of an error, which may be what a library
            made of it.
    """
    global _noted, _notice_noted
    answers = {number: _answer for number, usual in _ENDING.items()
               if signal.getsignal(number) is usual or signal.getsignal(number) == usual}
    if _NOTICE is not None and signal.getsignal(_NOTICE) == signal.SIG_DFL:
        answers[_NOTICE] = _note_notice
    if threading.current_thread() is not threading.main_thread() or not answers:
        yield
        return
    before = {number: signal.signal(number, answer) for number, answer in answers.items()}
    try:
        yield
        raise_noted_interrupt()
    except Exception as error:
        if _noted is not None:
            raise ProgramInterrupt(_noted) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _noted, _notice_noted = None, False


def raise_noted_interrupt() -> None:
    """Stop if a signal came earlier and was swallowed.

    Raises:
        ProgramInterrupt: if one has been noted.
    """
    if _noted is not None:
        raise ProgramInterrupt(_noted)


def checkpoint_is_asked_for() -> bool:
    """Tell whether SIGUSR1 has asked the program to end at the next checkpoint."""
    return _notice_noted


def ignore_further_interrupts() -> None:
    """Let nothing disturb a program that is ending."""
    for number in (*_ENDING, *([_NOTICE] if _NOTICE is not None else [])):
        signal.signal(number, signal.SIG_IGN)


def end_with_parent(parent: int) -> None:
    """Ask the system to send SIGTERM to this process when its parent ends, however that ends.

    Linux alone can do so; elsewhere nothing happens.

    Args:
        parent: process id of the parent. If it has already ended, this process does too.
    """
    if _LIBC is None:
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG
    _LIBC.prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
