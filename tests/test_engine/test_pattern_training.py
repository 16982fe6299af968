"""A training with patterns, means of classifiers and mixtures, from its config to its file."""

import pytest
import torch
from bmil import assert_same, load, losses, model_of, train
from commands import ROOT
from mmengine.hooks import Hook

from mmvireid.config import load_config
from mmvireid.inference.embedders import build_network
from mmvireid.inference.onnx_export import export_onnx


class Watch(Hook):
    """Keeps the mean of the visible classifier after each batch."""

    priority = 'LOWEST'

    def __init__(self):
        self.means, self.weights = [], []

    def after_train_iter(self, runner, *args, **kwargs):
        head = model_of(runner).head
        self.means.append(head.visible_mean.clone())
        self.weights.append(head.visible_classifier.weight.detach().clone())


@pytest.fixture(scope='module')
def config(tmp_path_factory, tiny_sysu):
    path = tmp_path_factory.mktemp('configs') / 'patterns_tiny.py'
    path.write_text(f'''
_base_ = ['{ROOT}/configs/partmix/partmix_r18_demo.py']
data_root = '{tiny_sysu}'
model = dict(
    backbone=dict(trunk=dict(base_channels=8, stem_channels=8)),
    neck=dict(in_channels=64, num_patterns=2),
    head=dict(num_classes=8, in_channels=192, num_patterns=2, start_epoch=2))
load = dict(type='LoadReIDImage', size=(48, 24))
pack = dict(type='PackReIDInputs')
train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root=data_root, pipeline=[load, dict(type='RandomFlip', prob=0.5), pack]),
    sampler=dict(
        type='CrossModalityExhaustiveSampler', num_ids=8, num_visible=2, num_infrared=2))
test_dataloader = dict(
    batch_size=32, dataset=dict(data_root=data_root, pipeline=[load, pack]))
val_dataloader = test_dataloader
optim_wrapper = dict(accumulative_counts=2)
train_cfg = dict(max_epochs=2, val_interval=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=-1))
''')
    return path


@pytest.fixture(scope='module')
def unbroken(config, tmp_path_factory):
    folder, watch = tmp_path_factory.mktemp('unbroken'), Watch()
    runner, = train(config, folder, watch)
    return folder, watch, runner


def test_the_contrast_sets_in(unbroken):
    rows = losses(unbroken[0])
    steps = len(rows) // 2
    assert steps % 2 == 0  # whole updates
    assert not any('loss_part_mix' in row for row in rows[:steps])
    assert all(row['loss_part_mix'] > 0 for row in rows[steps:])
    assert {'loss_separation', 'loss_kl', 'loss_ce_visible', 'loss_ce_infrared', 'loss_ce',
            'loss_metric'} <= set(rows[0])


def test_means_move_once_for_each_update(unbroken):
    _, watch, _ = unbroken
    mean = None
    for step, (now, weight) in enumerate(zip(watch.means, watch.weights)):
        if step % 2:
            assert torch.equal(now, watch.means[step - 1])
        elif mean is not None:
            torch.testing.assert_close(now, 0.8 * mean + 0.2 * watch.weights[step - 1])
            assert not torch.equal(now, mean)
        assert step % 2 == 0 or not torch.equal(weight, watch.weights[step - 1])
        mean = now


def test_resumed_is_unbroken(unbroken, config, tmp_path):
    folder, _, _ = unbroken
    train(config, tmp_path, resume=str(folder / 'epoch_1.pth'))
    first, second = (load(path / 'epoch_2.pth') for path in (folder, tmp_path))
    assert_same(first['state_dict'], second['state_dict'])
    assert_same(first['optimizer'], second['optimizer'])
    assert losses(tmp_path) == losses(folder, after_epoch=1)


def test_the_network_is_exported(unbroken, config, tmp_path):
    pytest.importorskip('onnxscript')
    cfg = load_config(config)
    difference = export_onnx(cfg, unbroken[0] / 'epoch_2.pth', tmp_path / 'patterns.onnx')
    assert set(difference) == {'base'}
    assert difference['base'] < 1e-5
    # What only training needs may be another: a checkpoint is tested on other people.
    other = load_config(config, {'model.head.num_classes': 5})
    build_network(other, unbroken[0] / 'epoch_2.pth')
