"""Whole trainings of BMIL, two stages, on a tiny dataset."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from bmil import Watch, assert_same, labels_file, load, losses, train

from mmvireid.registry import DATASETS

pytestmark = pytest.mark.slow

BASE_LR = 3.5e-4
LOAD, PACK = dict(type='LoadReIDImage', size=(48, 24)), dict(type='PackReIDInputs')
FLIPPED = [LOAD, dict(type='RandomFlip', prob=1.0), PACK]


def stages(first, second, **more):
    return [dict(epochs=first, branches=['intra']),
            dict(epochs=second, branches=['intra', 'cross'], **more)]


@pytest.fixture(scope='module')
def unbroken(tiny_bmil_config, tmp_path_factory):
    """Two epochs of each stage: work directory, runner, what was seen in each iteration."""
    work_dir, watch = tmp_path_factory.mktemp('runs'), Watch()
    runner = train(tiny_bmil_config, work_dir, watch)
    return work_dir, runner, watch.rows


@pytest.mark.parametrize(('epoch', 'seed'), [(1, 0), (2, 5), (3, None)])
def test_resumed_equals_unbroken(unbroken, tiny_bmil_config, tmp_path, epoch, seed):
    """In the middle of the first stage, between the stages, in the middle of the second.

    The seed is that of the checkpoint, whatever the config says.
    """
    work_dir = unbroken[0]
    train(tiny_bmil_config, tmp_path, resume=work_dir / f'epoch_{epoch}.pth',
          randomness__seed=seed)
    one, other = load(work_dir / 'epoch_4.pth'), load(tmp_path / 'epoch_4.pth')
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'pseudo_labels'):
        assert_same(one[key], other[key])
    assert labels_file(work_dir) == labels_file(tmp_path)
    assert losses(work_dir, after_epoch=epoch) == losses(tmp_path)


def test_a_stage_begins_with_a_new_optimiser_and_schedule(unbroken):
    work_dir, _, rows = unbroken
    rates = [[row['lr'] for row in rows if row['epoch'] == epoch] for epoch in range(4)]
    assert rates[0][0] == rates[2][0] == BASE_LR
    assert rates[1][0] == rates[3][0] < BASE_LR
    for epoch, iterations in ((1, 3), (2, 6), (3, 6), (4, 12)):
        checkpoint = load(work_dir / f'epoch_{epoch}.pth')
        assert {int(s['step']) for s in checkpoint['optimizer']['state'].values()} == {iterations}
        assert checkpoint['param_schedulers'][0]['last_step'] == (epoch - 1) % 2 + 1


def test_batches_of_the_branches_alternate(unbroken):
    _, runner, rows = unbroken
    modalities = runner.train_dataloader.dataset.modalities
    used = {(row['epoch'], row['branch']): set() for row in rows}
    for i, row in enumerate(rows):
        branch = 'intra' if i < 6 or i % 2 == 0 else 'cross'
        assert row['branch'] == branch
        assert row['losses'] == {f'loss_{branch}_visible', f'loss_{branch}_infrared'}
        assert row['stepped']
        assert row['moved'] == {branch}  # no batch moves the memories of the other branch
        images = np.array(row['images']).reshape(4, 4)
        assert (modalities[images] == [[0], [0], [1], [1]]).all()
        drawn = row['labels'][branch][images]
        assert (drawn >= 0).all()
        assert (drawn == drawn[:, :1]).all()
        used[row['epoch'], branch] |= set(images[:2].ravel().tolist())
    # Each branch draws its visible images from its own half.
    for epoch in (2, 3):
        assert not used[epoch, 'intra'] & used[epoch, 'cross']


def test_the_order_of_the_hooks(unbroken):
    """Seeds, labels, then the timer: clustering is not time spent waiting for data."""
    names = [type(hook).__name__ for hook in unbroken[1].hooks]
    assert names.index('EpochSeedHook') < names.index('PseudoLabelHook')
    assert names.index('PseudoLabelHook') < names.index('IterTimerHook')
    assert names.index('PseudoLabelHook') < names.index('DistSamplerSeedHook')


def test_identities_are_never_needed(unbroken, tiny_bmil_config, tmp_path):
    """The same images from a list without identities give the same weights."""
    work_dir, runner, _ = unbroken
    known = runner.train_dataloader.dataset
    with open(tmp_path / 'train.csv', 'w', newline='') as file:
        csv.writer(file).writerows(
            zip(known.img_paths, [-1] * len(known), known.cameras, known.modalities))
    dataset = dict(_delete_=True, type='ListFileDataset', data_root=known.data_root,
                   ann_file=str(tmp_path / 'train.csv'), pipeline=[LOAD, PACK])
    assert (DATASETS.build({k: v for k, v in dataset.items() if k != '_delete_'}).labels
            == -1).all()
    train(tiny_bmil_config, tmp_path / 'run', resume=work_dir / 'epoch_2.pth',
          train_dataloader__dataset=dataset)
    assert_same(load(work_dir / 'epoch_4.pth')['state_dict'],
                load(tmp_path / 'run/epoch_4.pth')['state_dict'])
    rows = [row for row in labels_file(tmp_path / 'run') if row['epoch'] > 2]
    assert rows
    assert all(row[score] is None for row in rows for score in ('ari', 'nmi', 'purity'))


def test_persistent_workers_see_new_labels_and_the_pipeline_of_the_stage(
        tiny_bmil_config, tmp_path):
    """Nothing random happens to an image, so workers must change nothing at all.

    Without EpochSeedHook, which would start the workers anew each epoch.
    """
    watches = Watch(), Watch()
    for name, watch, workers in zip('ab', watches, (0, 2)):
        train(tiny_bmil_config, tmp_path / name, watch, default_hooks__epoch_seed=None,
              train_cfg__stages=stages(2, 1, pipeline=FLIPPED),
              train_dataloader__dataset__pipeline=[LOAD, PACK],
              train_dataloader__num_workers=workers,
              train_dataloader__persistent_workers=workers > 0)
    checkpoints = [load(tmp_path / name / 'epoch_3.pth') for name in 'ab']
    for key in ('state_dict', 'pseudo_labels'):
        assert_same(*(checkpoint[key] for checkpoint in checkpoints))
    for one, other in zip(watches[0].rows, watches[1].rows, strict=True):
        assert one['images'] == other['images']
        assert_same(one['inputs'], other['inputs'])
    plain, flipped = ({i: view for row in watches[1].rows if (row['epoch'] == 2) == last
                       for i, view in zip(row['images'], row['inputs'])}
                      for last in (False, True))
    assert plain.keys() & flipped.keys()
    for image in plain.keys() & flipped.keys():
        assert torch.equal(plain[image], flipped[image].flip(-1))


class BeforeValidation(Watch):
    """Keeps the state in which the model is validated."""

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self.state = {k: v.clone() for k, v in runner.model.state_dict().items()}


def test_summed_losses_average_weights_and_scaled_rates(tiny_bmil_config, tmp_path):
    """One step for the batches of both branches; the model validated is the one saved.

    The first stage has an odd number of iterations.
    """
    keys = dict(
        validate=True, train_cfg__val_interval=3,
        custom_hooks=[dict(type='EMAHook', momentum=0.3)],
        auto_scale_lr=dict(enable=True, base_batch_size=8),
        train_cfg__stages=stages(
            1, 2, optim_wrapper=dict(type='SummingOptimWrapper', accumulative_counts=2)))
    watch = BeforeValidation()
    train(tiny_bmil_config, tmp_path / 'a', watch, **keys)
    assert [row['stepped'] for row in watch.rows] == 3 * [True] + 6 * [False, True]
    assert [row['branch'] for row in watch.rows[3:]] == 6 * ['intra', 'cross']
    assert watch.rows[0]['lr'] == watch.rows[3]['lr'] == 2 * BASE_LR

    saved = load(tmp_path / 'a/epoch_3.pth')
    assert {int(s['step']) for s in saved['optimizer']['state'].values()} == {6}
    assert_same(watch.state, dict(saved['state_dict']))
    trained = {k[len('module.'):]: v for k, v in saved['ema_state_dict'].items()
               if k.startswith('module.')}
    name = 'backbone.trunk.layer4.0.conv1.weight'
    assert not torch.equal(trained[name], saved['state_dict'][name])

    train(tiny_bmil_config, tmp_path / 'b', resume=tmp_path / 'a/epoch_2.pth', **keys)
    resumed = load(tmp_path / 'b/epoch_3.pth')
    for key in ('state_dict', 'ema_state_dict', 'optimizer', 'pseudo_labels'):
        assert_same(saved[key], resumed[key])


def test_mistakes_of_a_later_stage_show_before_the_first(tiny_bmil_config, tmp_path):
    for second, message in (
            (dict(branches=['intra', 'crass']), 'branch "crass", but PseudoLabelHook has only'),
            (dict(branches=['intra'], pipeline=[dict(type='RandomFlap')]), 'RandomFlap'),
            (dict(branches=['intra'], optim_wrapper=dict(optimizer=dict(rl=1))), 'rl'),
            (dict(branches=[]), 'at least one branch')):
        with pytest.raises((KeyError, TypeError, ValueError), match=message):
            train(tiny_bmil_config, tmp_path,
                  train_cfg__stages=[dict(epochs=1, branches=['intra']), dict(epochs=1, **second)])
    assert not list(Path(tmp_path).glob('*.pth'))
