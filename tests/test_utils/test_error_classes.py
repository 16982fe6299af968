"""Errors meant for people: one sentence, wherever they are raised; others keep their stack."""

import pickle

import pytest

from mmvireid.cli import one_sentence_errors
from mmvireid.utils import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize('kind', KINDS)
def test_each_takes_one_sentence_and_survives_the_way_from_another_process(kind):
    error = kind('set "x" to 3')
    assert isinstance(error, errors.MMVIReIDError)
    assert str(error) == 'set "x" to 3'
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (kind, 'set "x" to 3')


@pytest.mark.parametrize('kind', KINDS)
def test_command_lines_print_the_sentence_alone(kind, capsys):
    with pytest.raises(SystemExit) as stop, one_sentence_errors():
        raise kind('set "x" to 3')
    assert stop.value.code == 1
    assert capsys.readouterr().err == 'Error: set "x" to 3\n'


def test_a_fault_of_the_program_keeps_its_stack():
    """Also one that is raised on purpose, inside the package."""
    code = compile("raise ValueError('never mind')", errors.__file__, 'exec')
    with pytest.raises(ValueError, match='never mind'), one_sentence_errors():
        exec(code)


def test_an_error_of_a_loading_process_is_freed_from_its_stack(capsys):
    """PyTorch makes the stack a part of the message."""
    message = ('Caught DatasetError in DataLoader worker process 0.\nOriginal Traceback (most '
               'recent call last):\n  File "x.py"\nmmvireid.utils.errors.DatasetError: copy a.jpg')
    with pytest.raises(SystemExit), one_sentence_errors():
        raise errors.DatasetError(message)
    assert capsys.readouterr().err == 'Error: copy a.jpg\n'
