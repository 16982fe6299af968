"""Hooks: seeds, guards, records, checkpoints."""

import json
import logging
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, EpochBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmvireid.engine import (
    CheckLossHook,
    CheckpointGuardHook,
    EpochSeedHook,
    LastAndBestHook,
    StopAtCheckpointHook,
    TrainingProgressHook,
    seed_worker,
)
from mmvireid.utils.errors import CheckpointError, EvaluationError, TrainingDivergedError


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()


def runner(**entries):
    loader = SimpleNamespace(persistent_workers=False, sampler=[0, 1], dataset=[])
    return SimpleNamespace(**{
        'seed': 3, 'epoch': 0, 'iter': 0, 'train_dataloader': loader, '_test_loop': None,
        '_load_from': None, 'val_loop': None, 'train_loop': None, **entries})


def seeded(hook=None, **entries):
    (hook or EpochSeedHook()).before_train_epoch(runner(**entries))
    return draws()


def test_an_epoch_has_its_own_draws_however_it_is_reached():
    first, second = seeded(epoch=0), seeded(epoch=1)
    assert first != second
    draws()
    assert seeded(epoch=1) == second
    assert all(a != b for a, b in zip(first, seeded(epoch=0, seed=4)))


def test_the_sampler_draws_with_the_seed_of_the_run():
    loader = SimpleNamespace(persistent_workers=False, sampler=SimpleNamespace(seed=9))
    EpochSeedHook().before_train_epoch(runner(seed=3, train_dataloader=loader))
    assert loader.sampler.seed == 3


def test_a_seed_for_each_rank_is_refused():
    with pytest.raises(ValueError, match='diff_rank_seed'):
        EpochSeedHook().before_train(runner(_randomness_cfg=dict(diff_rank_seed=True)))
    EpochSeedHook().before_train(runner(_randomness_cfg=dict(seed=1, diff_rank_seed=False)))


def test_ranks_share_torch_and_differ_in_transforms(monkeypatch):
    first = seeded()
    monkeypatch.setattr('mmvireid.engine.hooks.epoch_seed_hook.get_rank', lambda: 1)
    second = seeded()
    assert first[2] == second[2]
    assert first[0] != second[0]
    assert first[1] != second[1]


class Noise(Dataset):
    """Items are random numbers, as an augmentation draws them."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return np.random.rand(), random.random()


def epoch_of_workers(epoch, rank='0'):
    EpochSeedHook().before_train_epoch(runner(epoch=epoch))
    loader = DataLoader(Noise(), batch_size=1, num_workers=2, worker_init_fn=seed_worker)
    return [tuple(float(x) for x in item) for item in loader]


def test_persistent_workers_start_anew():
    loader = SimpleNamespace(persistent_workers=True, sampler=[0], _iterator='running')
    EpochSeedHook().before_train_epoch(runner(train_dataloader=loader))
    assert loader._iterator is None


def test_workers_draw_anew_in_each_epoch_and_repeat_with_the_seed(monkeypatch):
    monkeypatch.setenv('RANK', '0')
    first = epoch_of_workers(0)
    assert len(set(first)) == 6
    assert not set(first) & set(epoch_of_workers(1))
    assert epoch_of_workers(0) == first
    monkeypatch.setenv('RANK', '1')
    assert not set(first) & set(epoch_of_workers(0))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_broken_loss_is_named(value):
    outputs = dict(loss=torch.tensor(value), loss_ce_b=torch.tensor(1.0),
                   loss_tie_r2i=torch.tensor(value))
    with pytest.raises(TrainingDivergedError) as error:
        CheckLossHook().after_train_iter(runner(epoch=2, iter=41), 0, outputs=outputs)
    message = str(error.value)
    assert 'loss_tie_r2i became NaN or infinite in epoch 3, iteration 42' in message
    assert 'loss_ce_b' not in message


def test_a_finite_loss_passes():
    CheckLossHook().after_train_iter(
        runner(), 0, outputs=dict(loss=torch.tensor(1.0), accuracy=torch.tensor(float('nan'))))


class Model(nn.Module):
    """A backbone and a head of chosen widths."""

    def __init__(self, width=4, classes=3):
        super().__init__()
        self.backbone = nn.Linear(2, width)
        self.neck = nn.BatchNorm1d(width)
        self.classifier = nn.Linear(width, classes)
        self.training_only = ('classifier', )


class Loop(BaseLoop):
    """A test that has been started."""

    def __init__(self):
        pass

    def run(self):
        """Do nothing."""


#: What a checkpoint of a training holds besides the weights.
STATE = dict(meta=dict(epoch=1, iter=3), optimizer={}, param_schedulers=[], message_hub={})


def guard(model, checkpoint, resume=False, test=False, trials=(None, None)):
    metas = [dict(trial=trial) if trial else {} for trial in trials]
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=metas[1]))
    CheckpointGuardHook().after_load_checkpoint(
        runner(model=model, _resume=resume, _load_from='a.pth', _test_loop=Loop() if test else {},
               test_dataloader=loader),
        dict(STATE, state_dict=checkpoint.state_dict(),
             meta=dict(STATE['meta'], dataset_meta=metas[0])))


def test_the_same_model_may_resume():
    guard(Model(), Model(), resume=True)


def test_other_identities_may_be_tested_but_not_resumed():
    guard(Model(), Model(classes=5), test=True)
    guard(Model(), Model(classes=5))
    with pytest.raises(CheckpointError, match=r'2 of 9 parameters do not fit, first '
                       r'classifier.weight \(shape \(5, 4\), the model has \(3, 4\)\)'):
        guard(Model(), Model(classes=5), resume=True)


def test_a_test_needs_everything_that_descriptors_come_from():
    without_neck = Model()
    without_neck.neck = nn.Identity()
    guard(Model(), without_neck)
    with pytest.raises(CheckpointError, match=r'first neck.weight \(missing\)'):
        guard(Model(), without_neck, test=True)


def test_the_model_of_one_split_does_not_test_another():
    guard(Model(), Model(), test=True, trials=(2, 2))
    guard(Model(), Model(), test=True, trials=(None, 2))
    words = 'trained on trial 1, in which the people of trial 2'
    with pytest.raises(CheckpointError, match=words):
        guard(Model(), Model(), test=True, trials=(1, 2))


@pytest.mark.parametrize('resume', [False, True])
def test_another_backbone_is_refused(resume):
    with pytest.raises(CheckpointError, match='a.pth" was made by another model'):
        guard(Model(), Model(width=8), resume=resume)


def test_names_of_a_wrapped_model_are_understood():
    state = {f'module.{k}': v for k, v in Model().state_dict().items()}
    CheckpointGuardHook().after_load_checkpoint(
        runner(model=Model(), _resume=True, _load_from=''), dict(STATE, state_dict=state))


@pytest.mark.parametrize(('lost', 'words'), [
    ('optimizer', 'no optimizer:'), ('param_schedulers', 'no param_schedulers:'),
    ('message_hub', 'no message_hub:'), ('meta', 'no epoch, iter:')])
def test_weights_alone_are_not_resumed(lost, words):
    """MMEngine would begin a lost optimiser or schedule anew, and say nothing."""
    checkpoint = dict(STATE, state_dict=Model().state_dict())
    del checkpoint[lost]
    resumed = runner(model=Model(), _resume=True, _load_from='a.pth', _test_loop={})
    with pytest.raises(CheckpointError, match=f'{words}.* load_from=a.pth instead of --resume'):
        CheckpointGuardHook().after_load_checkpoint(resumed, checkpoint)
    resumed._resume = False  # to fine-tune, weights are enough
    CheckpointGuardHook().after_load_checkpoint(resumed, checkpoint)


@pytest.mark.parametrize('checkpoint', [[1, 2], torch.zeros(3), dict(epoch=3),
                                        dict(state_dict=dict(epoch=3))])
@pytest.mark.parametrize('test', [False, True])
def test_a_file_without_parameters_is_refused(checkpoint, test):
    with pytest.raises(CheckpointError, match='a.pth" holds no parameters by name'):
        CheckpointGuardHook().after_load_checkpoint(
            runner(model=Model(), _resume=False, _load_from='a.pth',
                   _test_loop=Loop() if test else {}), checkpoint)


@pytest.mark.parametrize('trials', [(2, 2), (2, None), (None, 1), (None, None)])
def test_training_may_be_validated_on_its_own_trial(trials):
    begin_with(trials, Loop())


def test_training_is_not_validated_on_another_trial():
    """Test people of one split of RegDB are training people of another."""
    with pytest.raises(EvaluationError, match='training is on trial 2, in which people of '
                       r'trial 1 .* set val_dataloader\.dataset\.trial'):
        begin_with((2, 1), Loop())
    begin_with((2, 1), None)  # without validation it does not matter


def begin_with(trials, val_loop):
    loaders = [
        SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(trial=trial) if trial else {}))
        for trial in trials
    ]
    CheckpointGuardHook().before_train(
        runner(train_dataloader=loaders[0], val_dataloader=loaders[1], _val_loop=val_loop))


def validated(hook, work_dir, epoch, value):
    dataset = SimpleNamespace(metainfo=dict(split='test'))
    hook.after_val_epoch(
        runner(epoch=epoch, work_dir=work_dir, logger=logging.getLogger(),
               val_dataloader=SimpleNamespace(dataset=dataset)),
        {'sysu/all_single/base/mAP': value, 'sysu/all_single/base/R1': 10 - value})


def test_last_and_best_are_kept_apart(tmp_path):
    hook = LastAndBestHook()
    for epoch, value in enumerate((3.0, 5.0, 4.0), start=1):
        validated(hook, tmp_path, epoch, value)
    record = json.loads((tmp_path / 'last_and_best.json').read_text())
    assert record['best_selected_on'] == 'test'
    assert record['last']['epoch'] == 3
    assert record['best']['epoch'] == 2
    assert record['best']['metrics']['sysu/all_single/base/R1'] == 5.0


@pytest.mark.parametrize(('resumed_epoch', 'best'), [(3, 2), (1, 2)])
def test_a_resumed_run_knows_what_came_before_it(tmp_path, resumed_epoch, best):
    hook = LastAndBestHook()
    for epoch, value in enumerate((3.0, 5.0, 4.0), start=1):
        validated(hook, tmp_path, epoch, value)
    resumed = LastAndBestHook()
    resumed.before_train(runner(_resume=True, epoch=resumed_epoch, work_dir=tmp_path))
    validated(resumed, tmp_path, resumed_epoch + 1, 4.5)
    record = json.loads((tmp_path / 'last_and_best.json').read_text())
    assert [entry['epoch'] for entry in record['history']] == [*range(1, resumed_epoch + 2)]
    assert record['best']['epoch'] == best


def test_the_record_beside_the_checkpoint_counts(tmp_path):
    """Not that of another run which happens to lie in the work directory."""
    for folder, value in (('origin', 3.0), ('here', 9.0)):
        validated(LastAndBestHook(), tmp_path / folder, 1, value)
    for checkpoint, expected in (('origin/epoch_1.pth', 3.0), ('moved/epoch_1.pth', 9.0),
                                 (None, 9.0)):
        resumed = LastAndBestHook()
        resumed.before_train(runner(
            _resume=True, epoch=1, work_dir=tmp_path / 'here',
            _load_from=checkpoint and str(tmp_path / checkpoint)))
        entry, = resumed.history
        assert entry['metrics']['sysu/all_single/base/mAP'] == expected


class Epochs(EpochBasedTrainLoop):
    """A training of ten epochs, validated after every fourth from the third on."""

    def __init__(self):
        self.val_begin, self.val_interval, self._max_epochs = 3, 4, 10


@pytest.mark.parametrize(('epoch', 'recorded', 'owed'), [
    (4, False, True), (4, True, False), (5, False, False), (10, False, True), (10, True, False),
    (0, False, False), (2, False, False)])
def test_a_validation_that_was_interrupted_is_made_up_for(tmp_path, epoch, recorded, owed):
    """MMEngine saves a checkpoint, then validates; a run may be stopped in between."""
    runs = []
    if recorded:
        validated(LastAndBestHook(), tmp_path, epoch, 3.0)
    resumed = runner(
        _resume=True, epoch=epoch, work_dir=tmp_path, train_loop=Epochs(),
        logger=logging.getLogger(), val_loop=SimpleNamespace(run=lambda: runs.append(epoch)))
    LastAndBestHook().before_train(resumed)
    assert runs == [epoch] * owed
    resumed._resume = False
    LastAndBestHook().before_train(resumed)
    assert len(runs) == owed


def test_an_unknown_metric_names_the_known_ones(tmp_path):
    with pytest.raises(KeyError, match='follows "mINP"'):
        validated(LastAndBestHook('mINP'), tmp_path, 1, 1.0)


def test_a_notice_between_two_stages_stops_before_the_second(monkeypatch):
    asked = []
    monkeypatch.setattr(
        'mmvireid.engine.hooks.stop_at_checkpoint_hook.checkpoint_is_asked_for',
        lambda: bool(asked))
    StopAtCheckpointHook().before_train(None)
    asked.append('SIGUSR1')
    with pytest.raises(KeyboardInterrupt):
        StopAtCheckpointHook().before_train(None)


class Curious(nn.Module):
    """Notes what it is told."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.told = []

    def set_epoch(self, epoch):
        self.told.append(epoch)

    def weights_moved(self, moved):
        self.told.append(moved)


@pytest.mark.parametrize(('accumulative_counts', 'told'), [
    (1, [4, True, True, True]), (2, [4, False, True, False])])
def test_parts_are_told_the_epoch_and_whether_weights_have_moved(accumulative_counts, told):
    model = nn.ModuleDict(dict(plain=nn.Linear(1, 1), curious=Curious()))
    weight = model['curious'].weight
    wrapper = OptimWrapper(torch.optim.SGD([weight], 1.0), accumulative_counts)
    state = runner(model=model, epoch=4, optim_wrapper=wrapper)
    hook = TrainingProgressHook()
    hook.before_train(state)
    hook.before_train_epoch(state)
    for step in range(3):
        before = weight.item()
        wrapper.update_params(weight.sum())
        hook.after_train_iter(state, step, data_batch=None, outputs=None)
        assert (weight.item() != before) is model['curious'].told[-1]
    assert model['curious'].told == told


def test_with_several_optimisers_weights_always_move():
    model = Curious()
    optimizers = OptimWrapperDict(one=OptimWrapper(torch.optim.SGD(model.parameters(), 1.0)))
    hook = TrainingProgressHook()
    hook.before_train(runner(model=model))
    hook.after_train_iter(runner(model=model, optim_wrapper=optimizers), 0)
    assert model.told == [True]
