"""Options of tools/train.py on a chain of stages."""

import argparse
import runpy

import pytest

from mmvireid.config import load_config, load_stages
from mmvireid.utils.errors import ConfigError


@pytest.fixture
def with_amp(repo_root, monkeypatch):
    """Apply --amp to a config as on a machine with a GPU; give back those of its stages."""
    apply_options = runpy.run_path(str(repo_root / 'tools/train.py'))['apply_options']

    def apply(name, **options):
        stages = load_stages(repo_root / f'configs/bmil/{name}.py', options)
        monkeypatch.setattr('torch.cuda.is_available', lambda: True)
        for cfg in stages:
            apply_options(cfg, argparse.Namespace(
                amp=True, auto_scale_lr=False, no_validate=False))
        return stages

    return apply


def test_amp_reaches_the_wrappers_of_all_stages(with_amp):
    wrappers = [cfg.optim_wrapper for cfg in with_amp('bmil_r50-agw_2x50e_sysu_summed')]
    assert [wrapper.type for wrapper in wrappers] == ['AmpOptimWrapper', 'AmpSummingOptimWrapper']
    assert all(wrapper.loss_scale == 'dynamic' for wrapper in wrappers)


def test_amp_refuses_a_wrapper_that_it_does_not_know(with_amp):
    with pytest.raises(ConfigError, match='does not know the optimizer wrapper ApexOptimWrapper'):
        with_amp('bmil_r50-agw_2x50e_sysu', **{'optim_wrapper.type': 'ApexOptimWrapper'})


def test_options_go_to_every_stage_that_they_fit(repo_root, tmp_path):
    """Also where a stage has no such entry; stages.0. names the first one."""
    (tmp_path / 'first.py').write_text(
        f"_base_ = ['{repo_root}/configs/cift/cift_r18_demo.py']\nload_from = 'weights.pth'\n"
        "param_scheduler = []")
    (tmp_path / 'second.py').write_text(
        f"_base_ = ['{repo_root}/configs/cift/cift_r18_demo.py']\n")
    chain = tmp_path / 'chain.py'
    chain.write_text("stages = ['first.py', 'second.py']")
    options = {'randomness.seed': 3, 'stages.0.train_cfg.max_epochs': 5, 'train_cfg.max_epochs': 7,
               'param_scheduler.0.begin': 1}
    first, second = load_stages(chain, options, work_dir='w')
    assert [cfg.randomness.seed for cfg in (first, second)] == [3, 3]
    assert [cfg.train_cfg.max_epochs for cfg in (first, second)] == [5, 7]
    assert first.param_scheduler == []
    assert second.param_scheduler[0].begin == 1
    assert [cfg.work_dir for cfg in (first, second)] == ['w/stage_1', 'w/stage_2']
    # Everywhere but in training, a chain stands for its last stage.
    assert load_config(chain, options, work_dir='w').to_dict() == {
        **second.to_dict(), 'work_dir': 'w'}
    assert load_config(chain).work_dir == 'work_dirs/chain'
    assert load_config(chain, {'work_dir': 'x'}).work_dir == 'x'
    assert load_stages(chain, {'work_dir': 'x'})[1].work_dir == 'x/stage_2'


@pytest.mark.parametrize(('options', 'message'), [
    ({'num_people': 3}, '"num_people" is only a word'),
    ({'param_scheduler.7.begin': 1}, 'cannot be used'),
    ({'stages.2.train_cfg.max_epochs': 1}, 'stages.0.KEY to stages.1.KEY'),
    ({'stages': []}, 'stages.0.KEY to stages.1.KEY')])
def test_an_option_that_fits_no_stage_is_refused(repo_root, options, message):
    with pytest.raises(ConfigError, match=message):
        load_stages(repo_root / 'configs/bmil/bmil_r18_demo.py', options)


@pytest.mark.parametrize(('text', 'message'), [
    ("stages = ['own.py']\ntrain_cfg = dict(max_epochs=1)", 'move train_cfg into the configs'),
    ('stages = []', 'should list config files'),
    ("stages = ['missing.py']", 'there is no config file ".*missing.py"'),
    ("stages = ['chain.py']", 'is a chain itself')])
def test_a_chain_that_cannot_be_read(tmp_path, text, message):
    (tmp_path / 'chain.py').write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / 'chain.py')
