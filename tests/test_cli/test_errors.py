"""How a command line ends."""

import signal
import subprocess
import sys

import pytest
import torch

from mmvireid.cli import one_sentence_errors
from mmvireid.cli.errors import lost_process, wrong_arguments
from mmvireid.registry import MODELS


@pytest.mark.parametrize('lines', [1, 100_000])
def test_a_reader_may_leave(lines):
    """``head`` ends before the program does: no stack, whether output is left or not."""
    program = (f'from mmvireid.cli import one_sentence_errors\n'
               f'input()\nwith one_sentence_errors():\n    print({lines} * "a line\\n")\n')
    process = subprocess.Popen([sys.executable, '-c', program], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    process.stdin.write('\n')
    process.stdin.flush()
    assert process.wait() == 128 + signal.SIGPIPE
    assert process.stderr.read() == ''


def test_another_broken_pipe_is_an_error():
    with pytest.raises(BrokenPipeError), one_sentence_errors():
        raise BrokenPipeError


@pytest.mark.parametrize('error', [ZeroDivisionError(), KeyError(), KeyError('a', 1), KeyError(3)])
def test_errors_of_the_program_keep_their_stack(error):
    with pytest.raises(type(error)), one_sentence_errors():
        raise error


@pytest.mark.parametrize(('arguments', 'sentence'), [
    (dict(margn=0.3), 'TripletLoss takes no "margn": did you mean "margin"?'),
    (dict(), None),
])
def test_arguments_that_a_part_does_not_take(arguments, sentence):
    """Whoever builds a part of a config that was not checked."""
    error = None
    try:
        MODELS.build(dict(type='TripletLoss', **arguments))
    except TypeError as raised:
        error = raised
    assert wrong_arguments(error or TypeError()) == sentence


@pytest.mark.parametrize(('error', 'lost'), [
    (RuntimeError('[gloo/pair.cc:534] Connection closed by peer [127.0.0.1]:3\nmore'), True),
    (torch.distributed.DistNetworkError('failed to recv, got 0 bytes'), True),
    (RuntimeError('mat1 and mat2 shapes cannot be multiplied'), False),
    (ValueError('gloo'), False),
])
def test_another_process_is_lost(monkeypatch, error, lost):
    assert lost_process(error) is None  # there is no other
    monkeypatch.setattr('mmvireid.cli.errors.num_processes', lambda: 2)
    sentence = lost_process(error, 'Continue.')
    assert (sentence is not None) == lost
    if lost:
        assert sentence.startswith('another process of this run has ended')
        assert sentence.endswith('). Continue.')
        assert '\n' not in sentence
