"""Whole trainings of BMIL, two stages, on a tiny dataset."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bmil import Watch, assert_same, labels_file, load, losses, train

from mmvireid.registry import DATASETS

pytestmark = pytest.mark.slow

BASE_LR = 3.5e-4
LOAD, PACK = dict(type='LoadReIDImage', size=(48, 24)), dict(type='PackReIDInputs')
STATE = 'state_dict', 'optimizer', 'param_schedulers', 'pseudo_labels'


@pytest.fixture(scope='module')
def unbroken(tiny_bmil_config, tmp_path_factory):
    """Two epochs of each stage: work directory, runners, what was seen in each iteration."""
    work_dir, watch = tmp_path_factory.mktemp('runs'), Watch()
    runners = train(tiny_bmil_config, work_dir, watch)
    return work_dir, runners, watch.rows


@pytest.mark.parametrize(('stage', 'epoch'), [(1, 1), (1, 2), (2, 1)])
def test_resumed_equals_unbroken(unbroken, tiny_bmil_config, tmp_path, stage, epoch):
    """Stopped in the first stage, between the stages, in the second; what is done stays."""
    work_dir = unbroken[0]
    for done in range(1, stage + 1):
        shutil.copytree(work_dir / f'stage_{done}', tmp_path / f'stage_{done}')
    for path in (tmp_path / f'stage_{stage}').glob('epoch_*.pth'):
        if int(path.stem[6:]) > epoch:
            path.unlink()
    (tmp_path / f'stage_{stage}/last_checkpoint').unlink()
    shutil.rmtree(next((tmp_path / f'stage_{stage}').glob('*/vis_data')))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob('*/epoch_*.pth')}

    runners = train(tiny_bmil_config, tmp_path, resume='auto')
    assert len(runners) == (2 if (stage, epoch) == (1, 1) else 1)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    for name in ('stage_1', 'stage_2'):
        one, other = (load(folder / name / 'epoch_2.pth') for folder in (work_dir, tmp_path))
        for key in STATE:
            assert_same(one[key], other[key])
        assert labels_file(work_dir / name) == labels_file(tmp_path / name)
    # Logs of this test begin where the run was stopped.
    name = f'stage_{stage}'
    assert losses(work_dir / name, after_epoch=epoch) == losses(tmp_path / name)


def test_a_stage_begins_with_a_new_optimiser_and_schedule(unbroken):
    work_dir, _, rows = unbroken
    rates = [[row['lr'] for row in rows if (row['stage'], row['epoch']) == which]
             for which in ((1, 0), (1, 1), (2, 0), (2, 1))]
    assert rates[0][0] == rates[2][0] == BASE_LR
    assert rates[1][0] == rates[3][0] < BASE_LR
    for name, per_epoch in (('stage_1', 3), ('stage_2', 6)):
        for epoch in (1, 2):
            checkpoint = load(work_dir / name / f'epoch_{epoch}.pth')
            assert {int(s['step']) for s in checkpoint['optimizer']['state'].values()} == {
                epoch * per_epoch}
            assert checkpoint['param_schedulers'][0]['last_step'] == epoch


def test_a_stage_starts_from_the_last_weights_before_it_or_from_given_ones(
        unbroken, tiny_bmil_config, tmp_path):
    """Who is given a checkpoint for a stage need not train those before it."""
    work_dir = unbroken[0]
    given = tmp_path / 'somebody.pth'
    torch.save(dict(state_dict=load(work_dir / 'stage_1/epoch_2.pth')['state_dict']), given)
    runners = train(tiny_bmil_config, tmp_path / 'run', stages__1__load_from=str(given))
    assert [Path(runner.work_dir).name for runner in runners] == ['stage_2']
    assert_same(load(work_dir / 'stage_2/epoch_2.pth')['state_dict'],
                load(tmp_path / 'run/stage_2/epoch_2.pth')['state_dict'])


def test_batches_of_the_branches_alternate(unbroken):
    _, runners, rows = unbroken
    modalities = runners[-1].train_dataloader.dataset.modalities
    used = {(row['stage'], row['epoch'], row['branch']): set() for row in rows}
    for i, row in enumerate(rows):
        branch = 'intra' if row['stage'] == 1 or i % 2 == 0 else 'cross'
        assert row['branch'] == branch
        assert row['losses'] == {f'loss_{branch}_visible', f'loss_{branch}_infrared'}
        assert row['stepped']
        assert row['moved'] == {branch}  # no batch moves the memories of the other branch
        images = np.array(row['images']).reshape(4, 4)
        assert (modalities[images] == [[0], [0], [1], [1]]).all()
        drawn = row['labels'][branch][images]
        assert (drawn >= 0).all()
        assert (drawn == drawn[:, :1]).all()
        used[row['stage'], row['epoch'], branch] |= set(images[:2].ravel().tolist())
    # Each branch draws its visible images from its own half.
    for epoch in (0, 1):
        assert not used[2, epoch, 'intra'] & used[2, epoch, 'cross']


def test_the_order_of_the_hooks(unbroken):
    """Seeds, labels, then the timer: clustering is not time spent waiting for data."""
    names = [type(hook).__name__ for hook in unbroken[1][-1].hooks]
    assert names.index('EpochSeedHook') < names.index('PseudoLabelHook')
    assert names.index('PseudoLabelHook') < names.index('IterTimerHook')
    assert names.index('PseudoLabelHook') < names.index('DistSamplerSeedHook')


def test_identities_are_never_needed(unbroken, tiny_bmil_config, tmp_path):
    """The same images from a list without identities give the same weights."""
    work_dir, runners, _ = unbroken
    known = runners[-1].train_dataloader.dataset
    with open(tmp_path / 'train.csv', 'w', newline='') as file:
        csv.writer(file).writerows(
            zip(known.img_paths, [-1] * len(known), known.cameras, known.modalities))
    dataset = dict(_delete_=True, type='ListFileDataset', data_root=known.data_root,
                   ann_file=str(tmp_path / 'train.csv'), pipeline=[LOAD, PACK])
    assert (DATASETS.build({k: v for k, v in dataset.items() if k != '_delete_'}).labels
            == -1).all()
    second = tiny_bmil_config.with_stem('bmil_tiny_cross')
    train(second, tmp_path / 'run', load_from=str(work_dir / 'stage_1/epoch_2.pth'),
          train_dataloader__dataset={**dataset, 'pipeline': [
              LOAD, dict(type='RandomFlip', prob=0.5), PACK]})
    assert_same(load(work_dir / 'stage_2/epoch_2.pth')['state_dict'],
                load(tmp_path / 'run/epoch_2.pth')['state_dict'])
    rows = labels_file(tmp_path / 'run')
    assert rows
    assert all(row[score] is None for row in rows for score in ('ari', 'nmi', 'purity'))


def test_persistent_workers_see_new_labels(tiny_bmil_config, tmp_path):
    """Nothing random happens to an image, so workers must change nothing at all.

    Without EpochSeedHook, which would start the workers anew each epoch.
    """
    watches = Watch(), Watch()
    for name, watch, workers in zip('ab', watches, (0, 2)):
        train(tiny_bmil_config.with_stem('bmil_tiny_cross'), tmp_path / name, watch,
              default_hooks__epoch_seed=None, train_dataloader__dataset__pipeline=[LOAD, PACK],
              train_dataloader__num_workers=workers,
              train_dataloader__persistent_workers=workers > 0)
    checkpoints = [load(tmp_path / name / 'epoch_2.pth') for name in 'ab']
    for key in ('state_dict', 'pseudo_labels'):
        assert_same(*(checkpoint[key] for checkpoint in checkpoints))
    for one, other in zip(watches[0].rows, watches[1].rows, strict=True):
        assert one['images'] == other['images']
        assert_same(one['inputs'], other['inputs'])
    first, second = (watches[1].rows[row]['labels'] for row in (0, -1))
    assert not np.array_equal(first['cross'], second['cross'])


class BeforeValidation(Watch):
    """Keeps the state in which the model is validated."""

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self.state = {k: v.clone() for k, v in runner.model.state_dict().items()}


def test_summed_losses_average_weights_and_scaled_rates(tiny_bmil_config, tmp_path):
    """One step for the batches of both branches; the model validated is the one saved."""
    second = tiny_bmil_config.with_stem('bmil_tiny_cross')
    keys = dict(
        validate=True, train_cfg__val_interval=2,
        custom_hooks=[dict(type='EMAHook', momentum=0.3)],
        auto_scale_lr=dict(enable=True, base_batch_size=8),
        optim_wrapper__type='SummingOptimWrapper', optim_wrapper__accumulative_counts=2)
    watch = BeforeValidation()
    train(second, tmp_path / 'a', watch, **keys)
    assert [row['stepped'] for row in watch.rows] == 6 * [False, True]
    assert [row['branch'] for row in watch.rows] == 6 * ['intra', 'cross']
    assert watch.rows[0]['lr'] == 2 * BASE_LR

    saved = load(tmp_path / 'a/epoch_2.pth')
    assert {int(s['step']) for s in saved['optimizer']['state'].values()} == {6}
    assert_same(watch.state, dict(saved['state_dict']))
    trained = {k[len('module.'):]: v for k, v in saved['ema_state_dict'].items()
               if k.startswith('module.')}
    name = 'backbone.trunk.layer4.0.conv1.weight'
    assert not torch.equal(trained[name], saved['state_dict'][name])

    train(second, tmp_path / 'b', resume=str(tmp_path / 'a/epoch_1.pth'), **keys)
    resumed = load(tmp_path / 'b/epoch_2.pth')
    for key in ('state_dict', 'ema_state_dict', 'optimizer', 'pseudo_labels'):
        assert_same(saved[key], resumed[key])


def test_a_turn_of_an_unknown_branch_is_refused(tiny_bmil_config, tmp_path):
    with pytest.raises(ValueError, match='branch "crass", but default_hooks.pseudo_labels'):
        train(tiny_bmil_config.with_stem('bmil_tiny_intra'), tmp_path,
              train_dataloader__sampler__turns=['intra', 'crass'])
