"""BMIL as command lines: killed and resumed, on two processes."""

import os
import signal

import numpy as np
import pytest
import torch
from bmil import assert_same, labels_file, load, losses, train

pytestmark = pytest.mark.slow

PLAIN = "[dict(type='LoadReIDImage', size=(48, 24)), dict(type='PackReIDInputs')]"


def write_config(path, base, second_stage, more=''):
    path.write_text(f"""
_base_ = ['{base}']
train_cfg = dict(stages=[
    dict(epochs=1, branches=['intra']),
    dict(epochs={second_stage}, branches=['intra', 'cross'])])
{more}
""")
    return path


def test_a_killed_run_resumes_to_the_same_labels_and_losses(
        tiny_bmil_config, start_tool, run_tool, tmp_path):
    killed, work_dir = tmp_path / 'killed.py', tmp_path / 'killed'
    process = start_tool('tools/train.py', write_config(killed, tiny_bmil_config, 1000),
                         '--no-validate', '--work-dir', work_dir)
    process.wait(until=(work_dir / 'epoch_2.pth').is_file)
    os.killpg(process.process.pid, signal.SIGKILL)
    assert process.finish().returncode == -signal.SIGKILL, process.output()[-4000:]

    epoch = max(int(path.stem[6:]) for path in work_dir.glob('epoch_*.pth'))
    config = write_config(killed, tiny_bmil_config, epoch)
    process = run_tool('tools/train.py', config, '--no-validate', '--work-dir', work_dir,
                       '--resume')
    assert f'resumed epoch: {epoch}' in process.stdout + process.stderr
    unbroken = tmp_path / 'unbroken'
    train(config, unbroken)
    assert labels_file(work_dir) == labels_file(unbroken)
    expected = losses(unbroken, after_epoch=epoch)
    assert expected
    # What the killed process has logged of the epoch is there as well.
    assert losses(work_dir, after_epoch=epoch)[-len(expected):] == expected
    one, other = (load(path / f'epoch_{epoch + 1}.pth') for path in (unbroken, work_dir))
    for key in ('state_dict', 'optimizer', 'pseudo_labels'):
        assert_same(one[key], other[key])


def test_two_processes_label_and_train_as_one(tiny_bmil_config, run_on_two, tmp_path):
    """Batches are halved. Both branches have their labels from the same weights.

    In the first epoch BatchNorm of the trunk is frozen, since its statistics are those of a
    process, and nothing random happens to an image. In the second epoch it is not: then the
    ranks disagree, and averaged weights must still be validated as they are saved.
    """
    config = write_config(tmp_path / 'plain.py', tiny_bmil_config, 1, f"""
custom_imports = dict(imports=['bmil'])
custom_hooks = [dict(type='RankWatch'), dict(type='EMAHook', momentum=0.3)]
train_cfg['stages'][0]['branches'] = ['intra', 'cross']
train_cfg['val_interval'] = 2
train_dataloader = dict(dataset=dict(pipeline={PLAIN}), sampler=dict(num_steps=2))
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
""")
    run_on_two('tools/train.py', config, '--work-dir', tmp_path / 'two', '--cfg-options',
               'train_dataloader.batch_size=8',
               'train_dataloader.sampler.num_visible_clusters=1',
               'train_dataloader.sampler.num_infrared_clusters=1')
    train(config, tmp_path / 'one',
          train_cfg__stages=[dict(epochs=1, branches=['intra', 'cross'])])
    one, two = (load(tmp_path / name / 'epoch_1.pth') for name in ('one', 'two'))
    for branch, labels in one['pseudo_labels'].items():
        assert len(labels['labels'].unique()) > 2
        np.testing.assert_array_equal(labels['labels'], two['pseudo_labels'][branch]['labels'])
    first = [row for row in labels_file(tmp_path / 'two') if row['epoch'] == 1]
    assert first == labels_file(tmp_path / 'one')
    for key in ('state_dict', 'ema_state_dict'):
        assert_same(one[key], two[key], atol=2e-5)
    seen = losses(tmp_path / 'one'), losses(tmp_path / 'two')[:4]
    assert [row['loss'] for row in seen[0]] == pytest.approx(
        [row['loss'] for row in seen[1]], rel=1e-4)

    trained, validated = (
        [load(tmp_path / f'two/{what}_by_rank{rank}.pth') for rank in range(2)]
        for what in ('trained', 'validated'))
    name = 'backbone.trunk.layer1.0.bn1.running_mean'
    assert not torch.equal(trained[0][name], trained[1][name])
    saved = load(tmp_path / 'two/epoch_2.pth')['state_dict']
    for state in validated:
        assert_same(dict(state), dict(saved))
