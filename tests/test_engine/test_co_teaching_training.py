"""Two networks that tell each other which labels to trust: whole trainings on a tiny dataset."""

import pytest
import torch
from bmil import assert_same, load, losses, model_of, train
from mmengine.hooks import Hook

from mmvireid.engine import CleanProbabilityHook
from mmvireid.utils.errors import CheckpointError, ConfigError

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def tiny_config(tmp_path_factory, tiny_sysu, repo_root):
    path = tmp_path_factory.mktemp('configs') / 'co_teaching_tiny.py'
    path.write_text(f'''
_base_ = ['{repo_root}/configs/dart/dart_r18_demo.py']
data_root = '{tiny_sysu}'
model = dict(
    backbone=dict(trunk=dict(base_channels=8, stem_channels=8)),
    head=dict(num_classes=8, in_channels=64))
load = dict(type='LoadReIDImage', size=(48, 24))
flip = dict(type='RandomFlip', prob=0.5)
pack = dict(type='PackReIDInputs')
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        data_root=data_root,
        label_noise=dict(rate=0.25),
        pipeline=[
            load,
            dict(type='ByModality', visible=[dict(type='MultiView', views=[[], [flip]])],
                 infrared=[flip]),
            pack]),
    sampler=dict(num_ids=4, num_visible=2, num_infrared=2, num_steps=2, min_images=1,
                 warmup_epochs=1))
test_dataloader = dict(
    batch_size=32, dataset=dict(data_root=data_root, pipeline=[load, pack]))
val_dataloader = test_dataloader
val_evaluator = dict(num_trials=2)
test_evaluator = dict(num_trials=2)
optim_wrapper = dict(optimizer=dict(lr=0.01))
train_cfg = dict(max_epochs=3, val_interval=3)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=-1))
''')
    return path


class Watch(Hook):
    """Keeps what each iteration did to each member, and what each head trusts."""

    priority = 'LOWEST'

    def __init__(self):
        self.rows = []

    def _state(self, runner):
        model = model_of(runner)
        moments = runner.optim_wrapper.optimizer.state
        return {
            name: ({key: value.clone() for key, value in member.state_dict().items()},
                   [moments[p]['momentum_buffer'].clone() for p in member.parameters()
                    if p in moments])
            for name, member in zip(model.member_names, model.members)
        }

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.before = self._state(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        changed = set()
        for name, (weights, moments) in self._state(runner).items():
            old_weights, old_moments = self.before[name]
            if len(moments) != len(old_moments) or not (
                    all(torch.equal(weights[key], old_weights[key]) for key in weights)
                    and all(map(torch.equal, moments, old_moments))):
                changed.add(name)
        samples = data_batch['data_samples']
        self.rows.append(dict(
            epoch=runner.epoch, member=samples[0].branch, changed=changed,
            losses={name for name in outputs if name != 'loss'},
            images=[sample.sample_idx for sample in samples],
            confidence=[member.head.confidence for member in model_of(runner).members]))


@pytest.fixture(scope='module')
def unbroken(tiny_config, tmp_path_factory):
    """Three epochs, the first of them warm-up: work directory, runner, what was seen."""
    work_dir, watch = tmp_path_factory.mktemp('run'), Watch()
    runner, = train(tiny_config, work_dir, watch, validate=True)
    return work_dir, runner, watch.rows


def test_members_take_turns_and_leave_each_other_alone(unbroken):
    """Weights, statistics and momentum of the other: as with an optimiser for each."""
    rows = unbroken[2]
    assert [row['member'] for row in rows] == 3 * (2 * ['member_1'] + 2 * ['member_2'])
    for row in rows:
        assert row['changed'] == {row['member']}
        assert row['losses'] == {'loss_ce', 'accuracy'} | (
            {'loss_metric', 'anchors'} if row['epoch'] else set())
    assert rows[0]['images'] == rows[2]['images']  # warm-up: the same order for both
    assert rows[4]['images'] != rows[6]['images']


def test_each_trusts_what_the_other_says(unbroken):
    work_dir, runner, rows = unbroken
    dataset = runner.train_dataloader.dataset
    assert all(confidence is None for row in rows[:4] for confidence in row['confidence'])
    saved = load(work_dir / 'epoch_3.pth')['clean_probabilities']
    for name, confidence in zip(('member_2', 'member_1'), rows[-1]['confidence']):
        torch.testing.assert_close(saved[name].nan_to_num(0).float(), confidence)
    for table in saved.values():
        assert table.shape == (2, len(dataset))
        visible = torch.from_numpy(dataset.modalities == 0)
        assert not table[:, visible].isnan().any()
        assert not table[0].isnan().any()
        assert table[1, ~visible].isnan().all()  # infrared images have one view
        assert ((table[0] >= 0) & (table[0] <= 1)).all()
    assert not torch.equal(*(saved[name][0] for name in ('member_1', 'member_2')))


def test_the_run_stores_its_noise_and_the_log_says_what_was_found(unbroken):
    work_dir, runner, _ = unbroken
    record = load(work_dir / 'epoch_3.pth')['meta']['dataset_meta']['label_noise']
    assert record == runner.train_dataloader.dataset.metainfo['label_noise']
    assert (record['rate'], record['seed']) == (0.25, 0)
    scalars = next(work_dir.glob('*/vis_data/scalars.json')).read_text()
    assert '"clean/member_2_infrared/found"' in scalars


def test_both_are_tested_as_one(unbroken):
    found = [row for row in unbroken[1].message_hub.log_scalars if row.startswith('val/')]
    assert any('all_single' in name for name in found)


class Forget(Hook):
    """Makes the true labels and identities equal to the wrong ones before anything is drawn."""

    priority = 'VERY_HIGH'

    def before_train(self, runner):
        dataset = runner.train_dataloader.dataset
        for name in ('true_label', 'identity'):
            dataset._arrays[name] = dataset.labels.copy()


def test_resumed_equals_unbroken_also_where_nobody_knows_the_true_labels(
        unbroken, tiny_config, tmp_path):
    """Stopped after the warm-up, so that all probabilities are found by the resumed run."""
    work_dir = unbroken[0]
    train(tiny_config, tmp_path, Forget(), resume=str(work_dir / 'epoch_1.pth'))
    one, other = (load(folder / 'epoch_3.pth') for folder in (work_dir, tmp_path))
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(one[key], other[key])
    torch.testing.assert_close(
        one['clean_probabilities'], other['clean_probabilities'], rtol=0, atol=0, equal_nan=True)
    assert losses(work_dir, after_epoch=1) == losses(tmp_path)


def test_other_noise_is_no_resumption(unbroken, tiny_config, tmp_path):
    with pytest.raises(CheckpointError, match='label noise of the run that is resumed'):
        train(tiny_config, tmp_path, resume=str(unbroken[0] / 'epoch_1.pth'),
              train_dataloader__dataset__label_noise=dict(rate=0.25, seed=1))


def test_one_member_trusts_itself_and_another_mode_and_view_work(tiny_config, tmp_path):
    """The ablation, without warm-up, the pass in evaluation mode over plain images."""
    watch = Watch()
    plain = [dict(type='LoadReIDImage', size=(48, 24)), dict(type='PackReIDInputs')]
    train(tiny_config, tmp_path, watch, model__num_members=1, train_cfg__max_epochs=1,
          model__head__metric_loss=None, train_dataloader__sampler__warmup_epochs=0,
          train_dataloader__dataset__pipeline=plain,
          default_hooks__clean_probabilities__mode='eval',
          default_hooks__clean_probabilities__pipeline=plain)
    assert {row['member'] for row in watch.rows} == {'member_1'}
    assert all(row['losses'] == {'loss_ce', 'accuracy'} for row in watch.rows)
    saved = load(tmp_path / 'epoch_1.pth')['clean_probabilities']
    assert saved['member_1'].shape[0] == 1
    assert torch.equal(saved['member_1'].float(), watch.rows[-1]['confidence'][0])


def test_a_head_that_cannot_take_probabilities_is_refused(tiny_config, tmp_path):
    with pytest.raises(ConfigError, match='needs a head with set_confidence'):
        train(tiny_config, tmp_path,
              model__head=dict(type='BNNeckHead', num_classes=8, in_channels=64))
    with pytest.raises(ConfigError, match="'train' or 'eval', not 'test'"):
        CleanProbabilityHook(mode='test')


def test_swapped_probabilities_change_only_the_batches_of_whom_they_are_for(unbroken):
    """Losses of one member do not depend on what the other trusts."""
    _, runner, rows = unbroken
    model = model_of(runner)
    first, second = rows[-1]['confidence']
    batch = next(iter(runner.train_dataloader))  # of the first member
    found = []
    for own, other in ((first, second), (first, first), (second, second)):
        for member, table in zip(model.members, (own, other)):
            member.head.set_confidence(table)
        model.train()
        torch.manual_seed(0)
        data = model.data_preprocessor(batch, True)
        with torch.no_grad():
            found.append(float(model(**data, mode='loss')['loss_ce']))
    assert found[0] == found[1] != found[2]
