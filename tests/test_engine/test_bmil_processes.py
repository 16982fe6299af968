"""BMIL as command lines: killed and resumed, on two processes."""

import os
import signal

import numpy as np
import pytest
import torch
from bmil import assert_same, labels_file, load, losses, train

pytestmark = pytest.mark.slow

PLAIN = "[dict(type='LoadReIDImage', size=(48, 24)), dict(type='PackReIDInputs')]"


def test_a_killed_run_resumes_to_the_same_labels_and_losses(
        tiny_bmil_config, start_tool, run_tool, tmp_path):
    work_dir, second = tmp_path / 'killed', tmp_path / 'killed/stage_2'
    command = ['tools/train.py', tiny_bmil_config, '--no-validate', '--work-dir', work_dir,
               '--cfg-options', 'stages.0.train_cfg.max_epochs=1']
    process = start_tool(*command, 'stages.1.train_cfg.max_epochs=1000')
    process.wait(until=(second / 'epoch_1.pth').is_file)
    os.killpg(process.process.pid, signal.SIGKILL)
    assert process.finish().returncode == -signal.SIGKILL, process.output()[-4000:]

    epoch = max(int(path.stem[6:]) for path in second.glob('epoch_*.pth'))
    process = run_tool(*command, f'stages.1.train_cfg.max_epochs={epoch + 1}', '--resume')
    assert f'resumed epoch: {epoch}' in process.stdout + process.stderr
    assert 'Stage 2 of 2 trains' in process.stdout
    assert 'Stage 1 of 2' not in process.stdout
    train(tiny_bmil_config, tmp_path / 'unbroken', stages__0__train_cfg__max_epochs=1,
          stages__1__train_cfg__max_epochs=epoch + 1)
    unbroken = tmp_path / 'unbroken/stage_2'
    assert labels_file(second) == labels_file(unbroken)
    expected = losses(unbroken, after_epoch=epoch)
    assert expected
    # What the killed process has logged of the epoch is there as well.
    assert losses(second, after_epoch=epoch)[-len(expected):] == expected
    one, other = (load(path / f'epoch_{epoch + 1}.pth') for path in (unbroken, second))
    for key in ('state_dict', 'optimizer', 'pseudo_labels'):
        assert_same(one[key], other[key])


def test_two_processes_label_and_train_as_one(tiny_bmil_config, run_on_two, tmp_path):
    """Batches are halved. Both branches have their labels from the same weights.

    In the first epoch of a stage BatchNorm of the trunk is frozen, since its statistics are
    those of a process, and nothing random happens to an image. In the second epoch it is not:
    then the ranks disagree, and averaged weights must still be validated as they are saved.
    The group of the first stage serves the second, which starts from its weights.
    """
    (tmp_path / 'plain.py').write_text(f"""
_base_ = ['{tiny_bmil_config.with_stem('bmil_tiny_cross')}']
custom_imports = dict(imports=['bmil'])
custom_hooks = [dict(type='RankWatch'), dict(type='EMAHook', momentum=0.3)]
train_cfg = dict(max_epochs=1, val_interval=2)
train_dataloader = dict(dataset=dict(pipeline={PLAIN}), sampler=dict(num_steps=2))
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
""")
    (tmp_path / 'longer.py').write_text("_base_ = ['plain.py']\ntrain_cfg = dict(max_epochs=2)")
    config = tmp_path / 'chain.py'
    config.write_text("stages = ['plain.py', 'longer.py']")
    run_on_two('tools/train.py', config, '--work-dir', tmp_path / 'two', '--cfg-options',
               'train_dataloader.batch_size=8',
               'train_dataloader.sampler.num_visible_clusters=1',
               'train_dataloader.sampler.num_infrared_clusters=1')
    train(config, tmp_path / 'one', stages__1__train_cfg__max_epochs=1)
    # The second stage starts from weights that differ in their last digits already.
    for stage, atol in (('stage_1', 2e-5), ('stage_2', 5e-5)):
        compare_first_epochs(tmp_path / 'one' / stage, tmp_path / 'two' / stage, atol)

    trained, validated = (
        [load(tmp_path / f'two/stage_2/{what}_by_rank{rank}.pth') for rank in range(2)]
        for what in ('trained', 'validated'))
    name = 'backbone.trunk.layer1.0.bn1.running_mean'
    assert not torch.equal(trained[0][name], trained[1][name])
    saved = load(tmp_path / 'two/stage_2/epoch_2.pth')['state_dict']
    for state in validated:
        assert_same(dict(state), dict(saved))


def compare_first_epochs(one_dir, two_dir, atol):
    """Compare the labels, the losses and the weights of two runs after an epoch."""
    one, two = (load(folder / 'epoch_1.pth') for folder in (one_dir, two_dir))
    for branch, labels in one['pseudo_labels'].items():
        assert len(labels['labels'].unique()) > 2
        np.testing.assert_array_equal(labels['labels'], two['pseudo_labels'][branch]['labels'])
    first = [row for row in labels_file(two_dir) if row['epoch'] == 1]
    assert first == labels_file(one_dir)
    for key in ('state_dict', 'ema_state_dict'):
        assert_same(one[key], two[key], atol=atol)
    seen = losses(one_dir), losses(two_dir)[:4]
    assert [row['loss'] for row in seen[0]] == pytest.approx(
        [row['loss'] for row in seen[1]], rel=1e-4)
