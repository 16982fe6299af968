"""Keys that nothing takes are found before anything is built."""

import pytest
from mmengine.config import Config
from torch import nn

from mmvireid.config import load_config
from mmvireid.config_check import accepted_keys, check_keys
from mmvireid.evaluation import LLCMMetric
from mmvireid.registry import HOOKS, MODELS
from mmvireid.utils.errors import ConfigError


@pytest.mark.parametrize(('option', 'sentence'), [
    ('train_dataloader.sampler.num_idz',
     'train_dataloader.sampler (CrossModalityChunkSampler) takes no "num_idz": did you mean '
     '"num_ids"?'),
    ('train_cfg.max_epoch',
     'train_cfg (EpochBasedTrainLoop) takes no "max_epoch": did you mean "max_epochs"?'),
    ('model.head.num_clases', 'model.head (CIFTHead) takes no "num_clases"'),
    ('model.backbon.depth', 'model (CrossModalityReIdentifier) takes no "backbon"'),
    ('model.backbone.trunk.dept', 'model.backbone.trunk (ResNet) takes no "dept"'),
    ('optim_wrapper.optimizer.momentun', 'optim_wrapper.optimizer (SGD) takes no "momentun"'),
    ('optim_wrapper.optimzer.lr', 'did you mean "optimizer"?'),
    ('param_scheduler.0.start_facter', 'param_scheduler.0 (LinearLR) takes no "start_facter"'),
    ('train_dataloader.num_worker', 'train_dataloader takes no "num_worker"'),
    ('train_dataloader.dataset.data_rot', 'did you mean "data_root"?'),
    ('train_dataloader.dataset.pipeline.0.sise', 'pipeline.0 (LoadReIDImage) takes no "sise"'),
    ('test_evaluator.num_trial', 'test_evaluator (SYSUMetric) takes no "num_trial"'),
    ('default_hooks.checkpoint.intervall', 'takes no "intervall": did you mean "interval"?'),
    ('default_hooks.chekpoint.interval', 'default_hooks has no "chekpoint": did you mean'),
    ('randomness.sed', 'randomness takes no "sed": did you mean "seed"?'),
    ('env_cfg.cudnn_benchmrk', 'did you mean "cudnn_benchmark"?'),
    ('visualizer.sve_dir', 'visualizer (ReIDVisualizer) takes no "sve_dir"'),
])
def test_a_mistyped_key_on_the_command_line(repo_root, option, sentence):
    with pytest.raises(ConfigError) as refused:
        load_config(repo_root / 'configs/cift/cift_r50_120e_sysu.py', {option: 1})
    assert sentence in str(refused.value)


@pytest.mark.parametrize(('option', 'value', 'sentence'), [
    ('model.backbone', 'resnet', '"resnet" cannot take the place of the settings in '
     "model.backbone: change one of them, as model.backbone.NAME=VALUE, or write new ones as "
     "dict(type='NAME', ...)."),
    ('train_dataloader', 8, '"8" cannot take the place of the settings in train_dataloader'),
    ('train_dataloader.dataset.pipeline', ['LoadReIDImage'], '"LoadReIDImage" cannot take'),
    ('param_scheduler', 'cosine', '"cosine" cannot take'),
    ('default_hooks.logger', True, '"True" cannot take'),
    ('default_hooks.mine', 'MyHook', 'default_hooks.mine is "MyHook", which describes no hook'),
    ('custom_hooks', ['MyHook'], 'custom_hooks.0 is "MyHook", which describes no hook'),
    ('custom_hooks', 'MyHook', "custom_hooks is a list, [dict(type='NAME', ...)], not"),
    ('custom_hooks', {'type': 'MyHook'}, 'custom_hooks is a list'),
])
def test_a_word_in_the_place_of_a_part(repo_root, option, value, sentence):
    with pytest.raises(ConfigError) as refused:
        load_config(repo_root / 'configs/cift/cift_r50_120e_sysu.py', {option: value})
    assert sentence in str(refused.value)


def test_what_may_take_the_place_of_a_part(repo_root):
    cfg = load_config(repo_root / 'configs/cift/cift_r50_120e_sysu.py', {
        'default_hooks.last_and_best': None, 'train_dataloader.dataset.pipeline': [],
        'param_scheduler': [dict(type='ConstantLR')],
        'custom_hooks': [dict(type='LoggerHook')]})
    assert cfg.default_hooks.get('last_and_best') is None
    assert cfg.param_scheduler[0].type == 'ConstantLR'


def test_another_type_beside_the_old_keys(repo_root):
    with pytest.raises(ConfigError) as refused:
        load_config(repo_root / 'configs/cift/cift_r50_120e_sysu.py',
                    {'train_dataloader.sampler.type': 'ClusterSampler'})
    assert 'and 2 more of its keys: it takes camera_aware, dataset, num' in str(refused.value)
    assert '_delete_=True' in str(refused.value)
    load_config(repo_root / 'configs/cift/cift_r50_120e_sysu.py', {
        'train_dataloader.batch_size': 32,
        'train_dataloader.sampler': dict(
            _delete_=True, type='ClusterSampler', num_visible_clusters=4,
            num_infrared_clusters=4, num_instances=4, num_steps=2)})


@MODELS.register_module()
class TakesAnything(nn.Module):

    def __init__(self, width, **kwargs):
        super().__init__()


@HOOKS.register_module()
def make_hook(interval=1):
    return interval


def test_what_may_have_a_meaning_is_believed():
    check_keys(Config(dict(
        model=dict(type='TakesAnything', whatever=1, part=dict(type='CIFTHead', nonsense=1)),
        train_cfg=dict(by_epoch=False, max_iters=3),
        optim_wrapper=dict(
            type='AmpOptimWrapper', optimizer=dict(type='AdamW', lr=1e-3),
            clip_grad=dict(max_norm=1), accumulative_counts=2,
            paramwise_cfg=dict(norm_decay_mult=0.), loss_scale='dynamic'),
        param_scheduler=[dict(
            type='CosineAnnealingLR', T_max=3, by_epoch=True, convert_to_iter_based=True)],
        custom_hooks=[dict(type='make_hook', interval=3, priority='LOW'),
                      dict(type='NobodyKnowsIt', anything=1)],
        default_hooks=dict(timer=None, logger=dict(type='LoggerHook', interval=3)),
        my_own=dict(type='CIFTHead', nonsense=1),
        train_dataloader=dict(num_batch_per_epoch=3, pin_memory=True, collate_fn=dict(
            type='default_collate')))))
    with pytest.raises(ConfigError, match=r'custom_hooks.0 \(make_hook\) takes no "intervall"'):
        check_keys(Config(dict(custom_hooks=[dict(type='make_hook', intervall=3)])))


def test_arguments_that_are_handed_on():
    assert {'num_trials', 'out_file', 'queries_file'} <= set(
        accepted_keys(LLCMMetric))
    assert accepted_keys(TakesAnything) is None
    assert accepted_keys(make_hook) == ['interval']
