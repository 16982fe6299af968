"""A folder belongs to one run: the command lines."""

import os
import signal

import pytest
import torch

pytestmark = pytest.mark.slow


def test_a_folder_belongs_to_one_run(tiny_config, start_tool, run_tool, tmp_path):
    """While it trains, when it was killed, and when it is done."""
    train = ['tools/train.py', tiny_config, '--no-validate', '--work-dir', tmp_path]
    first = start_tool(*train, '--cfg-options', 'train_cfg.max_epochs=1000')
    first.wait(until=(tmp_path / 'epoch_2.pth').is_file)

    def refused(*command):
        return run_tool(*command, expect=1).stderr.strip().splitlines()[-1]

    for command in (train, [*train, '--resume'],
                    ['tools/test.py', tiny_config, '--work-dir', tmp_path]):
        assert f'is at work in "{tmp_path}"' in refused(*command)
    os.killpg(first.process.pid, signal.SIGKILL)
    first.finish()

    newest = max(tmp_path.glob('epoch_*.pth'), key=lambda path: int(path.stem[6:]))
    before = newest.read_bytes()
    unfinished = tmp_path / '.epoch_2.pth.x1y2'
    unfinished.write_text('')
    assert 'is of an earlier run' in refused(*train)
    for option in ('randomness.seed=9', 'optim_wrapper.optimizer.lr=0.5'):
        line = refused(*train, '--resume', '--cfg-options', option)
        assert f'holds a run whose {option.split("=")[0]} is' in line
    assert newest.read_bytes() == before
    assert not unfinished.exists()

    epoch = int(newest.stem[6:])
    run_tool(*train, '--resume', '--cfg-options', f'train_cfg.max_epochs={epoch + 1}')
    saved = torch.load(tmp_path / f'epoch_{epoch + 1}.pth', weights_only=False)
    assert saved['meta']['epoch'] == epoch + 1
