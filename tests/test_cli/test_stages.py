"""Which stage of a chain trains where, from which checkpoint; no network is trained here."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvireid.apis import VIReIDInferencer
from mmvireid.checkpoints import final_checkpoint, find_checkpoint
from mmvireid.cli import train_stages
from mmvireid.cli.run_settings import settings_of
from mmvireid.config import load_config, load_stages
from mmvireid.engine import ReIDRunner
from mmvireid.utils.errors import CheckpointError, ConfigError


@pytest.fixture
def chain(repo_root, tmp_path):
    """Three stages of three, two and one epochs, with the same start as another chain."""
    base = repo_root / 'configs/cift/cift_r18_demo.py'
    for name, epochs in (('first', 3), ('second', 2), ('third', 1), ('another', 1)):
        (tmp_path / f'{name}.py').write_text(
            f"_base_ = ['{base}']\ntrain_cfg = dict(max_epochs={epochs})\n")
    (tmp_path / 'other.py').write_text("stages = ['first.py', 'second.py', 'another.py']")
    path = tmp_path / 'chain.py'
    path.write_text("stages = ['first.py', 'second.py', 'third.py']")
    return path


@pytest.fixture
def trained(monkeypatch):
    """Save an empty last checkpoint where a stage would train; list what would have run."""
    runs = []

    def run_training(cfg):
        folder = Path(cfg.work_dir)
        start = cfg.get('load_from')
        runs.append((folder.name, start and Path(start).relative_to(folder.parents[1]).as_posix(),
                     bool(cfg.get('resume'))))
        save(folder / final_checkpoint(cfg))
        (folder / 'last_checkpoint').write_text(final_checkpoint(cfg))

    monkeypatch.setattr('mmvireid.cli.stages.run_training', run_training)
    return runs


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict={}), path)


def test_each_stage_starts_from_the_last_checkpoint_before_it(chain, trained, tmp_path):
    work_dir = tmp_path / 'run'
    train_stages(load_stages(chain, work_dir=work_dir))
    assert trained == [('stage_1', None, False), ('stage_2', 'run/stage_1/epoch_3.pth', False),
                       ('stage_3', 'run/stage_2/epoch_2.pth', False)]
    # The work directory of the chain stands for its last stage.
    assert find_checkpoint(work_dir) == f'{work_dir}/stage_3/epoch_1.pth'
    assert Path(find_checkpoint(work_dir)).name == final_checkpoint(load_config(chain))


def test_a_chain_that_has_begun_has_no_result_yet(chain, tmp_path, trained, monkeypatch):
    monkeypatch.setattr('mmvireid.cli.stages.check_checkpoint', lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # stopped at the beginning of the second stage
        train_stages(load_stages(chain, work_dir=tmp_path / 'run'))
    assert (tmp_path / 'run/stage_1/epoch_3.pth').is_file()
    assert find_checkpoint(tmp_path / 'run') is None


@pytest.mark.parametrize(('done', 'expected'), [
    (['stage_1/epoch_2.pth'],
     [('stage_1', 'run/stage_1/epoch_2.pth', True), ('stage_2', 'run/stage_1/epoch_3.pth', False),
      ('stage_3', 'run/stage_2/epoch_2.pth', False)]),
    (['stage_1/epoch_3.pth'],
     [('stage_2', 'run/stage_1/epoch_3.pth', False),
      ('stage_3', 'run/stage_2/epoch_2.pth', False)]),
    (['stage_1/epoch_3.pth', 'stage_2/epoch_1.pth'],
     [('stage_2', 'run/stage_2/epoch_1.pth', True),
      ('stage_3', 'run/stage_2/epoch_2.pth', False)]),
    # Whoever is short of disk space deletes the first stage when it is done with.
    (['stage_2/epoch_2.pth', 'stage_3/epoch_1.pth'],
     [('stage_3', 'run/stage_3/epoch_1.pth', True)]),
    ([], [('stage_1', None, False), ('stage_2', 'run/stage_1/epoch_3.pth', False),
          ('stage_3', 'run/stage_2/epoch_2.pth', False)])])
def test_resume_goes_on_in_whichever_stage_it_was(chain, trained, tmp_path, done, expected):
    for name in done:
        save(tmp_path / 'run' / name)
    train_stages(load_stages(chain, work_dir=tmp_path / 'run'), 'auto')
    assert trained == expected


def test_resume_from_a_file(chain, trained, tmp_path):
    save(tmp_path / 'run/stage_2/epoch_1.pth')
    save(tmp_path / 'run/stage_3/epoch_1.pth')
    stages = load_stages(chain, work_dir=tmp_path / 'run')
    # Stopped before its own third stage, it would otherwise end with this one.
    with pytest.raises(CheckpointError, match='stage_3/epoch_1.pth" does not come from'):
        train_stages(stages, str(tmp_path / 'run/stage_2/epoch_1.pth'))
    (tmp_path / 'run/stage_3/epoch_1.pth').unlink()
    train_stages(stages, str(tmp_path / 'run/stage_2/epoch_1.pth'))
    assert trained == [('stage_2', 'run/stage_2/epoch_1.pth', True),
                       ('stage_3', 'run/stage_2/epoch_2.pth', False)]
    save(tmp_path / 'mail/epoch_1.pth')
    with pytest.raises(CheckpointError, match='stages.1.load_from=.*mail/epoch_1.pth'):
        train_stages(stages, str(tmp_path / 'mail/epoch_1.pth'))


def test_who_goes_back_to_a_checkpoint_goes_on_from_there(chain, monkeypatch, tmp_path):
    """Also if the run is stopped before it saves again."""
    starts = []
    monkeypatch.setattr('mmvireid.cli.stages.run_training', lambda cfg: starts.append(
        (Path(cfg.load_from).name, cfg.resume)))
    for name in ('run/epoch_1.pth', 'run/epoch_2.pth', 'other/epoch_1.pth'):
        save(tmp_path / name)
    (tmp_path / 'run/last_checkpoint').write_text('epoch_2.pth')
    for resume in (str(tmp_path / 'run/epoch_1.pth'), 'auto'):
        train_stages(load_stages(chain.with_stem('first'), work_dir=tmp_path / 'run'), resume)
    assert starts == [('epoch_1.pth', True)] * 2
    with pytest.raises(CheckpointError, match='run/epoch_1.pth" does not come from'):
        train_stages(load_stages(chain.with_stem('first'), work_dir=tmp_path / 'run'),
                     str(tmp_path / 'other/epoch_1.pth'))


def test_the_key_of_the_engine_resumes_no_stage_from_another(chain, trained, tmp_path):
    train_stages(load_stages(chain, {'resume': True}, tmp_path / 'run'))
    assert [run[2] for run in trained] == [False, False, False]
    with pytest.raises(ConfigError, match='stages.0.load_from or stages.1.load_from'):
        load_stages(chain, {'load_from': 'weights.pth'})


def test_a_chain_is_no_run(chain):
    cfg = Config.fromfile(chain)
    with pytest.raises(ConfigError, match='mmvireid.config.load_stages'):
        ReIDRunner.from_cfg(cfg)
    with pytest.raises(ConfigError, match='load_config for its last stage'):
        VIReIDInferencer(cfg, allow_untrained=True)


def test_the_runner_fills_in_what_the_engine_leaves_open(repo_root, monkeypatch):
    cfg = Config.fromfile(repo_root / 'configs/cift/cift_r18_demo.py')
    cfg.model.head.graph = dict(tau_het=0.3)
    monkeypatch.setattr(Runner, 'from_cfg', classmethod(lambda cls, cfg: cfg))
    rankings = ReIDRunner.from_cfg(cfg).test_evaluator.rankings
    assert rankings.cift.scorer.graph == dict(tau_het=0.3)


def test_typing_errors_in_places_are_no_other_places(chain, tmp_path):
    stages = load_stages(chain, work_dir=tmp_path / 'run')
    with pytest.raises(CheckpointError, match='there is no checkpoint'):
        train_stages(stages, str(tmp_path / 'nowhere.pth'))
    with pytest.raises(CheckpointError, match='there is no folder'):
        train_stages(stages, reuse=str(tmp_path / 'nowhere'))
    with pytest.raises(ConfigError, match='lists no stages: write train_cfg.max_epochs'):
        load_stages(chain.with_stem('first'), {'stages.0.train_cfg.max_epochs': 1})


def test_stages_before_a_given_start_are_left_out(chain, trained, tmp_path):
    save(tmp_path / 'mail/weights.pth')
    options = {'stages.1.load_from': str(tmp_path / 'mail/weights.pth')}
    train_stages(load_stages(chain, options, tmp_path / 'run'))
    assert [run[:2] for run in trained] == [
        ('stage_2', 'mail/weights.pth'), ('stage_3', 'run/stage_2/epoch_2.pth')]
    options['stages.1.load_from'] += '.missing'
    with pytest.raises(CheckpointError, match='there is no checkpoint'):
        train_stages(load_stages(chain, options, tmp_path / 'again'))


def test_chains_share_the_stages_that_are_the_same(chain, trained, tmp_path):
    other = chain.with_stem('other')
    train_stages(load_stages(chain, work_dir=tmp_path / 'run'))
    trained.clear()
    train_stages(load_stages(other, work_dir=tmp_path / 'b'), reuse=str(tmp_path))
    assert trained == [('stage_3', 'run/stage_2/epoch_2.pth', False)]
    # Stopped there, it goes on there; so do the stages of another seed, which are others.
    trained.clear()
    train_stages(load_stages(other, work_dir=tmp_path / 'b'), 'auto', reuse=str(tmp_path))
    assert trained == [('stage_3', 'b/stage_3/epoch_1.pth', True)]
    for work_dir, options in (('c', {'randomness.seed': 1}), ('d', {'randomness.seed': None}),
                              ('e', {'randomness.seed': None})):
        trained.clear()
        train_stages(load_stages(other, options, tmp_path / work_dir), reuse=str(tmp_path))
        assert [run[0] for run in trained] == ['stage_1', 'stage_2', 'stage_3']
    # A run by itself may be a stage as well.
    train_stages(load_stages(chain.with_stem('first'), work_dir=tmp_path / 'alone'))
    trained.clear()
    train_stages(load_stages(other, work_dir=tmp_path / 'g'), reuse=str(tmp_path / 'alone'))
    assert [run[0] for run in trained] == ['stage_2', 'stage_3']
    # A stage that is not finished is nobody's beginning.
    trained.clear()
    (tmp_path / 'run/stage_2/epoch_2.pth').unlink()
    train_stages(load_stages(other, work_dir=tmp_path / 'f'), reuse=str(tmp_path / 'run'))
    assert [run[0] for run in trained] == ['stage_2', 'stage_3']


def test_a_new_run_does_not_begin_among_the_checkpoints_of_another(chain, trained, tmp_path):
    for config, place in ((chain, 'chain/stage_2'), (chain.with_stem('first'), 'single')):
        work_dir = tmp_path / place.split('/')[0]
        save(tmp_path / place / 'epoch_1.pth')
        with pytest.raises(CheckpointError, match='epoch_1.pth" is of an earlier run'):
            train_stages(load_stages(config, work_dir=work_dir))
    assert not trained


@pytest.mark.parametrize(('options', 'key'), [
    ({'randomness.seed': 9}, 'randomness.seed is 0, not 9'),
    ({'optim_wrapper.optimizer.lr': 0.5}, 'optim_wrapper.optimizer.lr is 0.1, not 0.5'),
    ({'train_dataloader.sampler.num_ids': 4, 'train_dataloader.batch_size': 32}, 'batch_size'),
    ({'train_dataloader.dataset.pipeline.1.padding': 1}, 'padding is 4, not 1'),
    ({'custom_hooks': [dict(type='EMAHook')]}, 'custom_hooks.0.type is None, not EMAHook')])
def test_a_run_goes_on_by_its_own_settings(chain, trained, tmp_path, options, key):
    config = chain.with_stem('first')
    options = {'optim_wrapper.optimizer.lr': 0.1, **options}
    train_stages(load_stages(config, {'optim_wrapper.optimizer.lr': 0.1}, tmp_path / 'run'))
    with pytest.raises(ConfigError, match=key):
        train_stages(load_stages(config, options, tmp_path / 'run'), 'auto')
    assert len(trained) == 1
    # Who names the checkpoint means it; nobody takes the result for another one.
    train_stages(load_stages(config, options, tmp_path / 'run'),
                 str(tmp_path / 'run/epoch_3.pth'))
    record = json.loads((tmp_path / 'run/run.json').read_text())
    assert record['load_from'] == str(tmp_path / 'run/epoch_3.pth')


class Watcher(Hook):
    only_watches = True


def test_what_may_be_another_thing_when_a_run_goes_on(chain, trained, tmp_path):
    """Its length, the place of its images, how fast, what is logged, tested and drawn."""
    config = chain.with_stem('first')
    train_stages(load_stages(config, work_dir=tmp_path / 'run'))
    options = {
        'train_cfg.max_epochs': 5, 'train_cfg.val_interval': 2, 'data_root': str(tmp_path),
        'train_dataloader.num_workers': 3, 'test_dataloader.batch_size': 7,
        'default_hooks.logger.interval': 1, 'default_hooks.checkpoint.max_keep_ckpts': 9,
        'default_hooks.curves.type': 'ClusteringPlotHook', 'log_level': 'ERROR'}
    cfg, = load_stages(config, options, tmp_path / 'run')
    cfg.custom_hooks = [dict(type=Watcher)]
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    train_stages([cfg], 'auto')
    assert trained[-1] == ('run', f'{tmp_path.name}/run/epoch_3.pth', True)
    assert settings_of(cfg)['train_cfg.max_epochs'] == 5


def test_hooks_of_a_later_version_leave_old_runs_as_they_are(tiny_config):
    """What every run has got since, beyond these four, is not in the record of an old run."""
    hooks = {value for key, value in settings_of(load_config(str(tiny_config))).items()
             if key.startswith('default_hooks.') and key.endswith('.type')}
    assert hooks == {'EpochSeedHook', 'DistSamplerSeedHook', 'ParamSchedulerHook',
                     'SyncBuffersHook'}


@pytest.mark.parametrize(('option', 'message'), [
    ({'train_dataloader.dataset.pipeline.1.type': 'RandomFlap'}, 'RandomFlap'),
    ({'train_dataloader.dataset.pipeline.1.padding': -1}, 'padding must not be negative'),
    ({'optim_wrapper.optimizer.lr': -1.0}, 'Invalid learning rate')])
def test_mistakes_of_a_later_stage_show_before_the_first(
        chain, trained, tmp_path, option, message):
    options = {f'stages.2.{key}': value for key, value in option.items()}
    with pytest.raises((KeyError, TypeError, ValueError), match=message):
        train_stages(load_stages(chain, options, tmp_path / 'run'))
    assert not trained
