"""Signals to processes that started others, and to several that train together."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from commands import LIMIT, Command, free_port

pytestmark = pytest.mark.slow

STARTER = """
import sys
from mmvireid.cli import one_sentence_errors, run_command
with one_sentence_errors('Start again.'):
    run_command([sys.executable, '-S', *sys.argv[1:]])
"""
STARTED = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def note(number, frame):
    (folder / signal.Signals(number).name).touch()
    if number != signal.SIGUSR1:
        sys.exit(128 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, note)
(folder / 'ready').touch()
while True:
    time.sleep(0.02)
"""


@pytest.fixture
def starter(tmp_path):
    """A program that waits for another one, which notes its signals as files."""
    (tmp_path / 'starter.py').write_text(STARTER)
    (tmp_path / 'started.py').write_text(STARTED)
    (tmp_path / 'output').mkdir()
    with Command([tmp_path / 'starter.py', tmp_path / 'started.py', tmp_path],
                 tmp_path / 'output') as process:
        process.wait(until=(tmp_path / 'ready').is_file)
        assert process.code is None, process.output()
        yield process


@pytest.mark.parametrize('name', ['SIGINT', 'SIGTERM', 'SIGHUP'])
def test_a_signal_to_the_starting_program_alone(starter, tmp_path, name):
    number = signal.Signals[name]
    os.kill(starter.process.pid, number)
    ended = starter.finish()
    assert ended.returncode == 128 + number, ended.stderr
    assert ended.stderr.startswith('\nInterrupted')
    assert ended.stderr.endswith(' Start again.\n')
    assert (tmp_path / name).is_file()


def test_killing_the_starting_program(starter, tmp_path):
    os.kill(starter.process.pid, signal.SIGKILL)
    deadline = time.monotonic() + LIMIT
    while not (tmp_path / 'SIGTERM').is_file():  # a test that waits for ever has failed
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_notice_is_passed_on(starter, tmp_path):
    os.kill(starter.process.pid, signal.SIGUSR1)
    starter.wait(until=(tmp_path / 'SIGUSR1').is_file)
    assert starter.code is None
    assert (tmp_path / 'SIGUSR1').is_file()


@pytest.fixture
def two_ranks(tiny_config, tmp_path, tmp_path_factory):
    """A training of two processes that has begun, to be stopped."""
    port = str(free_port())
    command = ['tools/train.py', tiny_config, '--work-dir', tmp_path, '--launcher', 'pytorch',
               '--cfg-options', 'train_dataloader.batch_size=8',
               'train_dataloader.sampler.num_ids=2', 'train_cfg.max_epochs=1000',
               'default_hooks.checkpoint.interval=1000', 'train_cfg.val_interval=1000']
    with contextlib.ExitStack() as stack:
        ranks = [
            stack.enter_context(Command(
                command, tmp_path_factory.mktemp('output'), environment=dict(
                    RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2',
                    MASTER_ADDR='127.0.0.1', MASTER_PORT=port))) for rank in range(2)
        ]
        ranks[1].wait(until=lambda: list(tmp_path.glob('*/vis_data/scalars.json')))
        yield ranks


def test_two_processes_end_at_a_checkpoint(two_ranks, tiny_config, tmp_path, run_tool):
    """One of them gets the notice; the epoch is not one that would be saved."""
    os.kill(two_ranks[1].process.pid, signal.SIGUSR1)
    ended = [rank.finish() for rank in two_ranks]
    assert [one.returncode for one in ended] == 2 * [128 + signal.SIGUSR1], ended
    assert 'Stopped where nothing is lost, as SIGUSR1 asks. Continue with' in ended[0].stderr
    checkpoint, = tmp_path.glob('epoch_*.pth')
    epoch = int(checkpoint.stem[6:])
    assert Path((tmp_path / 'last_checkpoint').read_text()).name == checkpoint.name
    resumed = run_tool('tools/train.py', tiny_config, '--work-dir', tmp_path, '--resume',
                       '--no-validate', '--cfg-options', f'train_cfg.max_epochs={epoch + 1}')
    assert f'resumed epoch: {epoch}' in resumed.stdout + resumed.stderr


def test_the_other_process_has_ended(two_ranks):
    os.kill(two_ranks[1].process.pid, signal.SIGKILL)
    left = two_ranks[0].finish()
    assert left.returncode == 1
    line = next(line for line in left.stderr.splitlines() if line.startswith('Error: '))
    assert line.startswith('Error: another process of this run has ended')
    assert line.endswith('Continue with the same command and --resume.')
    assert 'Traceback' not in left.stderr
