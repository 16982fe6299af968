"""What the configs of BMIL set, as the method's authors released it."""

import pytest

from mmvireid.config import load_stages

SETTINGS = {
    # eps, share of visible images, visible clusters, infrared clusters, images, steps
    'sysu': (0.6, 0.5, 8, 8, 16, 200),
    'regdb': (0.3, 1, 4, 8, 16, 100),
    'llcm': (0.6, 1, 8, 8, 16, 200),
}


@pytest.mark.parametrize('dataset', SETTINGS)
def test_released_settings(repo_root, dataset):
    first, cfg = load_stages(repo_root / f'configs/bmil/bmil_r50-agw_2x50e_{dataset}.py')
    eps, ratio, *drawn = SETTINGS[dataset]
    sampler, loader = cfg.train_dataloader.sampler, cfg.train_dataloader
    assert [sampler[key] for key in ('num_visible_clusters', 'num_infrared_clusters',
                                     'num_instances', 'num_steps')] == drawn
    assert loader.batch_size == drawn[2] * (drawn[0] + drawn[1])
    assert cfg.auto_scale_lr.base_batch_size == loader.batch_size

    hook = cfg.default_hooks.pseudo_labels
    intra, cross = (hook.labellers[name].partition for name in ('intra', 'cross'))
    assert [(part.visible_ratio, part.subset) for part in (intra, cross)] == [
        (ratio, 0), (ratio, 1)]
    for part in (intra.visible, intra.infrared, cross.clusterer):
        rule = 'BalancedNeighbors' if part is cross.clusterer else 'PlainNeighbors'
        assert (part.eps, part.min_samples) == (eps, 4)
        assert part.neighbors == dict(type=rule, k1=30, k2=6)
    assert (hook.extractor.flip, hook.extractor.normalize) == (True, False)
    assert hook.extractor.pipeline[0].interpolation == 'bicubic'

    for name, margin, weight in (('intra', 0.2, 1), ('cross', 0, 0.5)):
        branch = cfg.model.head.branches[name]
        memory = branch.memory
        assert (memory.mode, memory.temperature, memory.momentum, memory.margin,
                memory.get('num_candidates', 50)) == ('hybrid', 0.05, 0.1, margin, 50)
        assert branch.get('loss_weight', 1) == weight

    optimizer, schedule = cfg.optim_wrapper.optimizer, cfg.param_scheduler[0]
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('Adam', 3.5e-4, 5e-4)
    assert (schedule.milestones, schedule.gamma) == ([20, 40], 0.1)
    # Colour jitter of infrared images: in the first stage of SYSU-MM01 only.
    loaders = first.train_dataloader, loader
    jitters = ['ColorJitter' in str(stage.dataset.pipeline[1].infrared) for stage in loaders]
    assert jitters == [dataset == 'sysu', False]
    assert [stage.sampler.turns for stage in loaders] == [['intra'], ['intra', 'cross']]
    # But for these two, and the file they come from, the stages are the same.
    for stage in loaders:
        del stage.dataset.pipeline, stage.sampler.turns
    for key in ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg',
                'default_hooks'):
        assert first[key] == cfg[key]
    assert cfg.train_cfg.max_epochs == 50
    # Other ranks wait while one clusters: longer than NCCL's ten minutes.
    assert cfg.env_cfg.dist_cfg.timeout >= 7200
