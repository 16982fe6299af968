"""What the command lines share."""

import signal
import subprocess
import sys

import pytest
import torch
import torch.distributed as torch_dist
from mmengine.model import BaseModule
from mmengine.registry import init_default_scope
from torch import nn

from mmvireid.cli import load_pretrained_parts, one_sentence_errors
from mmvireid.utils.processes import leave_process_group, main_process_computes, patient_group


class Part(BaseModule):

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.layer = nn.Linear(3, 2)


def test_only_parts_that_name_weights_get_them(tmp_path):
    init_default_scope('mmvireid')
    saved = Part()
    torch.save(saved.state_dict(), tmp_path / 'part.pth')
    model = nn.ModuleDict(dict(
        named=Part(dict(type='Pretrained', checkpoint=str(tmp_path / 'part.pth'))),
        other=Part(), drawn=Part(dict(type='Constant', layer='Linear', val=7.0))))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_pretrained_parts(model)
    torch.testing.assert_close(model['named'].layer.weight, saved.layer.weight, rtol=0, atol=0)
    for name in ('other', 'drawn'):
        assert torch.equal(model[name].layer.weight, before[f'{name}.layer.weight'])


def test_groups_of_processes_are_left(tmp_path):
    for name in ('first', 'second'):  # a notebook begins afresh
        torch_dist.init_process_group(
            'gloo', init_method=f'file://{tmp_path}/{name}', rank=0, world_size=1)
        patient_group()
        assert main_process_computes(lambda: 'done') == 'done'
        leave_process_group()
        assert not torch_dist.is_initialized()
    leave_process_group()  # there is none


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
