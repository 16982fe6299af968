"""Options of tools/train.py on a training in stages."""

import argparse
import runpy

import pytest

from mmvireid.config import load_config
from mmvireid.utils.errors import ConfigError


@pytest.fixture
def with_amp(repo_root, monkeypatch):
    """Apply --amp to a config as on a machine with a GPU; give back the config."""
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    apply_options = runpy.run_path(str(repo_root / 'tools/train.py'))['apply_options']

    def apply(name, **options):
        cfg = load_config(repo_root / f'configs/bmil/{name}.py', options)
        apply_options(cfg, argparse.Namespace(
            amp=True, auto_scale_lr=False, no_validate=False, resume=None))
        return cfg

    return apply


def test_amp_reaches_the_wrappers_of_all_stages(with_amp):
    cfg = with_amp('bmil_r50-agw_2x50e_sysu_summed')
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'
    assert cfg.train_cfg.stages[1].optim_wrapper == dict(
        type='AmpSummingOptimWrapper', accumulative_counts=2)
    assert with_amp('bmil_r50-agw_2x50e_sysu').optim_wrapper.type == 'AmpOptimWrapper'


def test_amp_refuses_a_wrapper_that_it_does_not_know(with_amp):
    with pytest.raises(ConfigError, match='does not know the optimizer wrapper ApexOptimWrapper'):
        with_amp('bmil_r50-agw_2x50e_sysu', **{'optim_wrapper.type': 'ApexOptimWrapper'})
