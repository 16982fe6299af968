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
from mmvireid.utils.interrupts import (
    checkpoint_is_asked_for,
    notice_passed_on,
    raise_noted_interrupt,
    remembered_interrupts,
)


@pytest.fixture(autouse=True)
def default_handler():
    """Give each test Python's own handler, also where pytest was started without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def interrupted(monkeypatch, capsys):
    """Run a function below the guard of a command line; tell what was printed at the end."""

    def run(function, number=signal.SIGINT):
        # The command line would end this process.
        monkeypatch.setattr('mmvireid.cli.errors._end_at_once', sys.exit)
        handlers = {n: signal.getsignal(n) for n in (*ENDING, signal.SIGUSR1)}
        try:
            with pytest.raises(SystemExit) as stop, one_sentence_errors('Start again.'):
                function()
        finally:
            for known, handler in handlers.items():
                signal.signal(known, handler)
        assert stop.value.code == 128 + number
        return capsys.readouterr().err

    return run


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_as_ctrl_c_does(interrupted, number):
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under nohup
    said = interrupted(lambda: signal.raise_signal(number), number)
    assert said == f'\nInterrupted by {number.name}. Start again.\n'
    assert signal.signal(number, before) == signal.SIG_DFL


def test_sigterm_to_one_of_several_processes(interrupted, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    said = interrupted(lambda: signal.raise_signal(signal.SIGTERM), signal.SIGTERM)
    assert 'which all processes of a run get when another one has ended. Start again.' in said


def test_a_second_press_does_not_disturb_the_end(interrupted, monkeypatch):
    """At any time: while the first one is handled, and after the sentence was printed."""
    monkeypatch.setattr('mmvireid.utils.interrupts._REPEATED_WITHIN', float('inf'))
    monkeypatch.setattr('mmvireid.cli.errors._stopped_by', lambda number: press_ctrl_c() or 'End.')

    def press_twice():
        try:
            press_ctrl_c()
        finally:
            press_ctrl_c()

    assert interrupted(press_twice) == '\nEnd. Start again.\n'


def test_somebody_who_insists_is_heard(monkeypatch):
    monkeypatch.setattr('mmvireid.utils.interrupts._REPEATED_WITHIN', 0.0)
    heard = []

    def press_twice():
        try:
            press_ctrl_c()
        finally:
            try:
                press_ctrl_c()
            except KeyboardInterrupt:
                heard.append('the second')

    with pytest.raises(KeyboardInterrupt), remembered_interrupts():
        press_twice()
    assert heard == ['the second']


def test_a_notice_is_noted_and_passed_on():
    received = []
    with remembered_interrupts(), notice_passed_on(received.append):
        assert not checkpoint_is_asked_for()
        signal.raise_signal(signal.SIGUSR1)
        assert checkpoint_is_asked_for()
    assert received == [signal.SIGUSR1]
    assert not checkpoint_is_asked_for()
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


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
