"""Ctrl-C that a library swallowed is raised again."""

import contextlib
import ctypes
import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from mmvireid.cli import one_sentence_errors
from mmvireid.engine import InterruptHook
from mmvireid.utils.interrupts import raise_noted_interrupt, remembered_interrupts


@pytest.fixture(autouse=True)
def default_handler():
    """Give each test Python's own handler, also where pytest was started without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def interrupted(monkeypatch, capsys):
    """Run a function below the guard of a command line; tell what was printed at the end."""

    def run(function):
        # The command line would end this process.
        monkeypatch.setattr('mmvireid.cli.errors._leave_standing', sys.exit)
        with pytest.raises(SystemExit) as stop, one_sentence_errors('Start again.'):
            function()
        assert stop.value.code == 130
        return capsys.readouterr().err

    return run


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def swallow():
    """Interrupt the program where Python can only print the exception."""
    ctypes.CFUNCTYPE(None)(press_ctrl_c)()


ignored = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')


@pytest.mark.parametrize('mode', ['train', 'val', 'test'])
@pytest.mark.parametrize('moment', ['epoch', 'iter'])
@ignored
def test_the_next_iteration_or_epoch_stops(mode, moment):
    method = getattr(InterruptHook(), f'before_{mode}_{moment}')
    runner = SimpleNamespace()
    arguments = (runner, ) if moment == 'epoch' else (runner, 0, None)
    method(*arguments)
    reached = []

    def loop():
        method(*arguments)
        swallow()
        reached.append('went on')
        method(*arguments)
        reached.append('still going')

    with pytest.raises(KeyboardInterrupt), remembered_interrupts():
        loop()
    assert reached == ['went on']
    method(*arguments)  # nothing is left of it


@ignored
def test_the_end_stops_at_the_latest(interrupted):
    assert interrupted(swallow).endswith('\nInterrupted. Start again.\n')


def test_an_error_that_a_library_made_of_it_is_an_interruption(interrupted):
    def format_the_config():
        try:
            press_ctrl_c()
        except:  # noqa: E722
            raise SyntaxError('the config cannot be formatted') from None

    assert interrupted(format_the_config) == '\nInterrupted. Start again.\n'


def test_each_press_acts_at_once():
    seen = []

    def press_twice():
        for _ in range(2):
            try:
                press_ctrl_c()
            except KeyboardInterrupt:
                seen.append('now')

    with pytest.raises(KeyboardInterrupt), remembered_interrupts():
        press_twice()
    assert seen == ['now', 'now']
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    raise_noted_interrupt()  # forgotten outside


def test_an_inner_block_forgets_nothing():
    def inside():
        with contextlib.suppress(KeyboardInterrupt), remembered_interrupts():
            press_ctrl_c()
        with remembered_interrupts():
            pass
        raise_noted_interrupt()
        pytest.fail('it was forgotten')

    with pytest.raises(KeyboardInterrupt), remembered_interrupts():
        inside()


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with remembered_interrupts():
        press_ctrl_c()
        raise_noted_interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_are_left_alone():
    """Only the main thread may install a handler."""
    finished = []

    def work():
        with remembered_interrupts():
            finished.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert finished == [signal.default_int_handler]
