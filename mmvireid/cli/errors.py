"""Errors of a command line in one sentence, and how its process ends."""

import atexit
import difflib
import os
import re
import select
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import torch
from mmengine.registry import Registry

import mmvireid.registry
from mmvireid.compat import known_warnings_hidden
from mmvireid.config_check import accepted_keys, unknown_key
from mmvireid.utils.encoding import print_any_text
from mmvireid.utils.errors import MMVIReIDError
from mmvireid.utils.files import is_disk_error, write_error
from mmvireid.utils.interrupts import (
    end_with_parent,
    ignore_further_interrupts,
    remembered_interrupts,
    signal_of,
)
from mmvireid.utils.processes import leave_process_group, num_processes

#: Set to any value to see the whole stack of an error.
TRACEBACK_VARIABLE = 'MMVIREID_TRACEBACK'
#: What gloo, NCCL and the store of a process group say when the other end has gone.
_LOST_CONNECTION = re.compile(
    r'gloo|NCCL|Connection (?:closed|reset|refused)|[Bb]roken pipe|[Tt]imed out waiting')


@contextmanager
def one_sentence_errors(hint: str = '') -> Iterator[None]:
    """Print errors meant for the user as one sentence and exit.

    Errors that are meant for people (:class:`~mmvireid.utils.errors.MMVIReIDError`) are
    printed without a stack, also when a data-loading process raised them, and so is a ``type``
    that nobody registered; ``MMVIREID_TRACEBACK=1`` brings the stack back. So is a disk that
    takes no more, whoever was writing. Ctrl-C exits with code 130, also if a library swallowed
    it on the way; SIGTERM, SIGHUP and a stop at a checkpoint (SIGUSR1) with 128 and their
    number. Where one of several processes has ended, the others say so. A pipe that nobody
    reads any more ends the program without a word. Any other error is a fault of the program
    and keeps its stack. One of several processes ends here when its work has succeeded.
    Characters that the terminal's encoding lacks, and bytes of file names that are no
    characters, are printed as escapes instead of ending the program.

    Args:
        hint: sentence to print after an interruption.
    """
    print_any_text()
    # A launcher that is killed does not end the processes that it has started.
    if 'TORCHELASTIC_RUN_ID' in os.environ:
        end_with_parent(os.getppid())
    try:
        with remembered_interrupts(), known_warnings_hidden():
            yield
        sys.stdout.flush()
        if num_processes() > 1:
            leave_process_group()
            _end_at_once(0)
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        message = unknown_type(error) or wrong_arguments(error) or lost_process(error, hint)
        if message is None and isinstance(error, MMVIReIDError):
            message = _last_sentence(error)
        if message is None and is_disk_error(error):
            message = str(write_error(error))
        if message is None:
            raise
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        _exit(f'Error: {message}', 1)
    except KeyboardInterrupt as stop:
        ignore_further_interrupts()
        number = signal_of(stop)
        _exit(f'\n{_stopped_by(number)} {hint}'.rstrip(), 128 + number, interrupted=True)


def _stopped_by(number: signal.Signals) -> str:
    """Say what ended the program."""
    if number == signal.SIGINT:
        return 'Interrupted.'
    if number.name == 'SIGUSR1':
        return 'Stopped where nothing is lost, as SIGUSR1 asks.'
    if number == signal.SIGTERM and int(os.environ.get('WORLD_SIZE', 1)) > 1:
        return ('Interrupted by SIGTERM, which all processes of a run get when another one has '
                'ended.')
    return f'Interrupted by {number.name}.'


def lost_process(error: Exception, hint: str = '') -> str | None:
    """Say in one sentence that another process of the run has ended.

    Args:
        error: any error.
        hint: what to do then.

    Returns:
        The sentence; None if there are no others, or the error is another one.
    """
    text = str(error).strip()
    lost = isinstance(error, torch.distributed.DistError) or isinstance(
        error, RuntimeError) and _LOST_CONNECTION.search(text)
    if num_processes() == 1 or not lost:
        return None
    return (f'another process of this run has ended, see its own message '
            f'({text.splitlines()[0]}). {hint}').rstrip()


def _reader_has_gone() -> bool:
    """Tell whether the reader of our output, ``head`` for example, has gone.

    Then what is left of it goes nowhere, or the interpreter would try again as it ends.
    Other pipes that break, to data-loading processes, are errors.
    """
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    gone = any(flags & select.POLLERR for _, flags in output.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def unknown_type(error: Exception) -> str | None:
    """Say in one sentence that nothing is registered under a name.

    Args:
        error: any error.

    Returns:
        The sentence, with the most similar name; None if it is another error.
    """
    found = isinstance(error, KeyError) and error.args and re.match(
        r'(\S+) is not in the (?:\w+::)?([\w ]+) registry', str(error.args[0]))
    if not found:
        return None
    name, kind = found[1], found[2]
    known = [key for node in vars(mmvireid.registry).values()
             if isinstance(node, Registry) and node.name == kind
             for key in (*node.module_dict, *node.parent.module_dict)]
    similar = difflib.get_close_matches(name, known, n=1)
    return (f'no {kind} is called "{name}": ' +
            (f'did you mean "{similar[0]}"? ' if similar else 'is the type spelt right? ') +
            'A class of your own has to be registered, in a module that custom_imports names.')


def wrong_arguments(error: Exception) -> str | None:
    """Say in one sentence that a config does not have what a part is built with.

    Args:
        error: any error.

    Returns:
        The sentence; None unless a registry got this error for the arguments of the config.
    """
    end = error.__traceback__ if isinstance(error, TypeError) else None
    while isinstance(end, TracebackType) and end.tb_next is not None:
        end = end.tb_next
    # Errors of the part itself come from further down.
    if end is None or end.tb_frame.f_code.co_name != 'build_from_cfg':
        return None
    part = end.tb_frame.f_locals.get('obj_cls')
    name = getattr(part, '__name__', 'a part')
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    missing = re.search(r'missing \d+ required [\w-]+ arguments?: (.+)', str(error))
    if unknown:
        return unknown_key(name, unknown[1], sorted(accepted_keys(part) or ()))
    return f'{name} needs {missing[1]}: set it in the config.' if missing else None


def _exit(message: str, code: int, interrupted: bool = False) -> None:
    """Print to the terminal and leave; other ranks must not wait for this one."""
    rank = int(os.environ.get('RANK', 0))
    with suppress(OSError):  # the terminal may have been closed
        print(f'[process {rank}] {message}' if rank else message, file=sys.stderr, flush=True)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # A collective would never return: the other ranks are elsewhere.
        os._exit(code)
    if interrupted:
        _end_at_once(code)
    sys.exit(code)


def _end_at_once(code: int) -> None:
    """End the process without taking its objects apart.

    After Ctrl-C some are half-built: numba's compiler, interrupted while it hands a module
    over, would free it twice, and the process would die of that instead of giving its exit
    code. And one of several processes now and then aborts while its interpreter ends and
    DistributedDataParallel still holds the threads of the group ("terminate called without
    an active exception"): its work is done, but its launcher calls the run a failure.
    """
    atexit._run_exitfuncs()  # data-loading processes end, loggers write what they hold
    with suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
    os._exit(code)


def _last_sentence(error: Exception) -> str:
    """Return the message, freed from the stack that a DataLoader puts before it."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    marker = f'{type(error).__name__}: '
    return text.rsplit(marker, 1)[-1].strip() if 'Traceback' in text else text
