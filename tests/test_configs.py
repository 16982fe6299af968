"""Every config loads, and everything it names can be built without a dataset."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from PIL import Image

from mmvireid.checkpoints import final_checkpoint
from mmvireid.config import apply_options, load_stages, stage_files
from mmvireid.config_check import check_keys
from mmvireid.evaluation import CrossModalityMetric
from mmvireid.registry import (
    DATA_SAMPLERS,
    HOOKS,
    METRICS,
    MODELS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
)
from mmvireid.structures import BatchInfo, ImageSet, Modality, PseudoLabels
from mmvireid.utils.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/*.py')
    if path.parent.name != '_base_')
#: Those that are a run, not a chain of them.
RUNS = [config for config in CONFIGS if not stage_files(ROOT / config)]
METAFILES = sorted(ROOT.glob('configs/*/metafile.yml'))


@pytest.fixture(scope='module', params=RUNS)
def cfg(request):
    cfg = Config.fromfile(ROOT / request.param)
    apply_options(cfg, {})
    # Weights from the network are tested elsewhere.
    cfg.model.backbone.init_cfg = None
    return cfg


@pytest.fixture(scope='module')
def models():
    return {}


@pytest.fixture(scope='module')
def model(cfg, models):
    """Build a network once for all configs that have the same."""
    text = json.dumps(cfg.model.to_dict(), sort_keys=True)
    if text not in models:
        models.clear()  # configs of one network follow each other
        models[text] = MODELS.build(cfg.model)
    return models[text]


def member_of(model):
    """Give the network, or the first of several that are trained side by side."""
    return getattr(model, 'members', [model])[0]


@pytest.fixture(scope='module')
def first_time():
    """Tell whether settings have not been tried before: most configs share most of theirs."""
    seen = set()

    def new(*settings):
        text = json.dumps(settings, sort_keys=True)
        known = text in seen
        seen.add(text)
        return not known

    return new


def unsupervised(cfg):
    """Tell whether a config trains on pseudo labels."""
    return 'pseudo_labels' in cfg.default_hooks


def rows_of_a_step(cfg):
    """Give the visible and the infrared images of a step."""
    sampler = cfg.train_dataloader.sampler
    if unsupervised(cfg):
        return (sampler.num_instances * sampler.num_visible_clusters,
                sampler.num_instances * sampler.num_infrared_clusters)
    return sampler.num_ids * sampler.num_visible, sampler.num_ids * sampler.num_infrared


class Annotations:
    """What a sampler asks of a dataset: eight images of each modality a person."""

    def __init__(self, num_ids):
        self.labels = np.repeat(np.arange(num_ids), 16)
        self.modalities = np.tile(np.repeat([0, 1], 8), num_ids)
        self.cameras = np.tile(np.arange(16) // 4, num_ids)

    def __len__(self):
        return len(self.labels)


def test_there_are_configs_of_every_method_and_dataset():
    for method in ('agw_r50_\\d+e', 'caj_r50_\\d+e', 'cift_r50_\\d+e', 'dart_r50_\\d+e',
                   'deen_r50_\\d+e', 'bmil_r50-agw_2x50e', 'mpanet_r50_\\d+e',
                   'partmix_r50_\\d+e'):
        for dataset in ('sysu', 'regdb', 'llcm'):
            assert [c for c in CONFIGS if re.search(rf'{method}_{dataset}\.py', c)]


def test_every_key_is_taken(cfg):
    check_keys(cfg)


def test_model_knows_as_many_people_as_the_dataset(cfg, model):
    head = member_of(model).head
    if unsupervised(cfg):  # and no identity of anybody
        assert not [name for name, _ in head.named_modules() if 'classifier' in name]
        return
    classifier = head.classifiers['b'] if hasattr(head, 'classifiers') else head.classifier
    assert classifier.out_features == cfg.num_ids


def test_model_takes_a_batch_of_the_sampler(cfg, model, first_time):
    if not first_time('batch', cfg.model, cfg.train_dataloader.sampler, cfg.image_size,
                      cfg.train_dataloader.batch_size, cfg.default_hooks.get('pseudo_labels'),
                      cfg.test_evaluator):
        return
    model = member_of(model)
    height, width = cfg.image_size
    half = rows_of_a_step(cfg)
    assert cfg.train_dataloader.batch_size == sum(half)
    modality = torch.repeat_interleave(torch.arange(2), torch.tensor(half))
    with torch.no_grad():
        # Small pictures: what is tried here does not depend on their size.
        images = torch.rand(2, 3, max(height // 4, 64), max(width // 4, 32))
        shape_of_feature = model.extract_feat(images, torch.tensor([0, 1])).shape[1:]
    pooled = torch.rand(sum(half), *shape_of_feature) / 10
    if unsupervised(cfg):
        hook = HOOKS.build(cfg.default_hooks.pseudo_labels)
        ids = torch.arange(sum(half))
        images = ImageSet(
            dict(base=pooled), identity=np.full(len(ids), -1), camera=modality.numpy() + 1,
            modality=modality.numpy(), sample_idx=ids.numpy())
        for name in cfg.train_dataloader.sampler.turns:
            labels = ids.numpy() // 8
            model.head.reset({name: hook.labellers[name].from_clusters(images, labels, 0)})
            losses = model.head.loss(
                pooled, BatchInfo(modality=modality, index=ids, branch=name))
            assert {f'loss_{name}_infrared', f'loss_{name}_visible'} <= set(losses)
            assert all(torch.isfinite(value) for value in losses.values())
    else:
        num_ids = cfg.train_dataloader.sampler.num_ids
        ids = torch.cat([torch.arange(num_ids).repeat_interleave(n // num_ids) for n in half])
        losses = model.head.loss(pooled, BatchInfo(modality=modality, label=ids))
        assert all(torch.isfinite(value) for value in losses.values())
    descriptors = model.head.predict(pooled)
    for ranking in METRICS.build(cfg.test_evaluator).rankings.values():
        assert ranking.descriptors <= set(descriptors)


def test_learning_rates(cfg, model, first_time):
    """A pre-trained trunk and the counterfactual parameters learn ten times slower."""
    if not first_time('rates', cfg.model, cfg.optim_wrapper, cfg.param_scheduler):
        return
    init_default_scope('mmvireid')
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    assert isinstance(optimizer, OptimWrapper)
    rate = {
        id(parameter): group['lr']
        for group in optimizer.param_groups for parameter in group['params']
    }
    # Adam, and networks that start from nothing, know one rate; but for DEEN's, of which the
    # features would vanish.
    name = Path(cfg.filename).name
    one_rate = ('r18' in name and not name.startswith('deen')) or unsupervised(cfg) or (
        cfg.optim_wrapper.optimizer.type == 'Adam')
    slow = ('head.counterfactual.', ) if one_rate else ('backbone.', 'head.counterfactual.')
    for name, parameter in model.named_parameters():
        name = re.sub(r'^members\.\d+\.', '', name)
        if parameter.requires_grad:
            wanted = 0.1 if name.startswith(slow) else 1.0
            assert rate[id(parameter)] == pytest.approx(wanted * cfg.optim_wrapper.optimizer.lr)
    for scheduler in cfg.param_scheduler:
        # Some schedules count epochs in the config and iterations in the run.
        PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer, epoch_length=10))


def test_sampler(cfg, first_time):
    if not first_time('sampler', cfg.train_dataloader.sampler, cfg.num_ids,
                      cfg.train_dataloader.batch_size):
        return
    sampler = DATA_SAMPLERS.build(
        cfg.train_dataloader.sampler,
        default_args=dict(dataset=Annotations(cfg.num_ids), seed=0))
    if unsupervised(cfg):
        labels = PseudoLabels(sampler.dataset.labels)
        sampler.set_labels(dict.fromkeys(sampler.turns, labels))
    assert len(sampler) % cfg.train_dataloader.batch_size == 0
    assert len(list(sampler)) == len(sampler)


@pytest.mark.parametrize('modality', Modality)
def test_pipelines(cfg, modality, first_time, tmp_path, monkeypatch):
    if not first_time('pipelines', modality, cfg.image_size, *(
            cfg[f'{split}_dataloader'].dataset.pipeline for split in ('train', 'val', 'test'))):
        return
    monkeypatch.chdir(tmp_path)  # a pipeline may write its cache
    path = tmp_path / 'image.png'
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)).save(path)
    two_views = (re.match('caj|dart', Path(cfg.filename).name) or unsupervised(cfg)) and (
        modality == Modality.VISIBLE)
    for dataset, views in ((cfg.train_dataloader.dataset, 1 + two_views),
                           (cfg.val_dataloader.dataset, 1), (cfg.test_dataloader.dataset, 1)):
        results = dict(img_path=str(path), modality=int(modality), label=3, sample_idx=0)
        for transform in dataset.pipeline:
            results = TRANSFORMS.build(transform)(results)
        assert results['inputs'].shape == (views, 3, *cfg.image_size)
        assert results['data_samples'].label == 3


class Parts(torch.nn.Module):
    """One parameter for each learning rate of a recipe."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
        self.head.counterfactual = torch.nn.Linear(1, 1)


def rates_over_epochs(cfg):
    """Give the learning rates of backbone, head and counterfactual parameters in each epoch."""
    model = Parts()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    schedulers = [PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer))
                  for scheduler in cfg.param_scheduler]
    weights = [model.backbone.weight, model.head.weight, model.head.counterfactual.weight]
    groups = [next(group for group in optimizer.param_groups
                   if any(parameter is weight for parameter in group['params']))
              for weight in weights]
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append([group['lr'] for group in groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize('dataset', ['sysu', 'regdb', 'llcm'])
@pytest.mark.parametrize(('method', 'epochs', 'milestones', 'slow_counterfactual'), [
    ('agw', 81, (20, 50), False), ('caj', 100, (20, 50), False), ('dart', 100, (20, 50), False),
    ('cift', 120, (60, 100), True), ('deen', 151, (20, 80), False)])
def test_schedule_of_the_recipe(method, epochs, milestones, slow_counterfactual, dataset):
    cfg = Config.fromfile(ROOT / f'configs/{method}/{method}_r50_{epochs}e_{dataset}.py')
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.momentum, optimizer.weight_decay, optimizer.nesterov) == (
        'SGD', 0.9, 5e-4, True)
    rates = rates_over_epochs(cfg)
    epoch = np.arange(epochs)
    expected = 0.1 * np.minimum((epoch + 1) / 10, 1)
    for milestone in milestones:
        expected = expected * np.where(epoch >= milestone, 0.1, 1)
    np.testing.assert_allclose(rates[:, 0], 0.1 * expected)
    np.testing.assert_allclose(rates[:, 1], expected)
    if slow_counterfactual:
        np.testing.assert_allclose(rates[:, 2], 0.1 * expected)


@pytest.mark.parametrize('dataset', ['sysu', 'regdb', 'llcm'])
@pytest.mark.parametrize(
    'method', ['agw_r50_81e', 'caj_r50_100e', 'cift_r50_120e', 'dart_r50_100e'])
def test_batches_and_images_of_the_recipe(method, dataset):
    name = method.split('_')[0]
    cfg = Config.fromfile(ROOT / f'configs/{name}/{method}_{dataset}.py')
    apply_options(cfg, {})
    sampler = DATA_SAMPLERS.build(
        cfg.train_dataloader.sampler,
        default_args=dict(dataset=Annotations(cfg.num_ids), seed=0))
    assert (sampler.num_ids, sampler.num_visible, sampler.num_infrared) == (8, 4, 4)
    kind = dict(cift='CrossModalityChunkSampler', dart='CoTeachingSampler').get(
        name, 'CrossModalityPKSampler')
    assert type(sampler).__name__ == kind
    if name != 'cift':  # the released loaders run a step more than they print
        assert sampler.num_steps == cfg.num_ids * 8 // 32 + 1
    if dataset == 'sysu':
        assert cfg.train_dataloader.dataset.split == 'trainval'

    transforms = [TRANSFORMS.build(t) for t in cfg.train_dataloader.dataset.pipeline]
    text = ' '.join(map(repr, transforms)).replace('\n', ' ')
    assert "LoadReIDImage(size=(288, 144), interpolation='lanczos'" in text
    views = name in ('caj', 'dart')
    paths = 3 if views else 1  # two views of visible images and one of infrared ones
    assert text.count('PadRandomCrop(padding=10, fill=0)') == paths
    assert text.count('RandomFlip(prob=0.5') == paths
    assert text.count('Normalize(') == (paths if views else 0)
    assert text.count('ChannelExchange(gray=False)') == views
    assert text.count('ChannelAdapGray(prob=0.5)') == views
    erasing = re.findall(
        r'RandomErasing\(prob=0.5, area_range=\(0.02, 0.4\), aspect_range=\(0.3, 3.33+5?\), '
        r"fill=\[(.+?), (.+?), (.+?)\], aspect='uniform', attempts=100\)", text)
    assert len(erasing) == (0 if name == 'agw' else paths)
    # CAJ erases after normalising, with the published values as they stand; CIFT before, on
    # the scale of uint8.
    scale = 255 if name == 'cift' else 1
    for fill in erasing:
        assert np.array(fill, float) / scale == pytest.approx(
            [0.4914, 0.4822, 0.4465], abs=5e-4)
    order = [text.find(word) for word in ('PadRandomCrop', 'RandomFlip', 'Normalize',
                                          'RandomErasing', 'ChannelExchange', 'PackReIDInputs')]
    assert [i for i in order if i >= 0] == sorted(i for i in order if i >= 0)


@pytest.mark.parametrize('dataset', ['sysu', 'regdb', 'llcm'])
def test_recipe_of_deen(dataset):
    cfg = Config.fromfile(ROOT / f'configs/deen/deen_r50_151e_{dataset}.py')
    sampler = DATA_SAMPLERS.build(
        cfg.train_dataloader.sampler,
        default_args=dict(dataset=Annotations(cfg.num_ids), seed=0))
    assert (sampler.num_ids, sampler.num_visible, sampler.num_infrared) == (6, 4, 4)
    assert sampler.extra_step
    transforms = [TRANSFORMS.build(t) for t in cfg.train_dataloader.dataset.pipeline]
    assert [type(transform).__name__ for transform in transforms] == [
        'LoadReIDImage', 'RandomGrayscale', 'PadRandomCrop', 'RandomFlip', 'Normalize',
        'RandomErasing', 'PackReIDInputs']
    load, grayscale, crop, flip, _, erasing, _ = transforms
    assert (load.size, load.interpolation) == ((384, 144), 'lanczos')
    assert (grayscale.prob, crop.padding, crop.fill, flip.prob, erasing.prob) == (
        0.5, 10, 0, 0.5, 0.5)
    assert erasing.area_range == ((0.2, 0.8) if dataset == 'sysu' else (0.02, 0.4))
    assert erasing.aspect_range == pytest.approx((0.3, 10 / 3))
    assert erasing.fill == pytest.approx([0.485, 0.456, 0.406])
    head, backbone = cfg.model.head, cfg.model.backbone
    assert (head.margin, head.pair_mining_weight, head.pair_mining_margin) == (0.3, 0.8, 0.2)
    assert head.orthogonality_weight == 0.01
    assert backbone.modality_specific == 'stem'
    assert backbone.aggregation.fold_positions
    assert backbone.expansion.dropout == 0.01
    assert cfg.model.test_cfg.flip
    # RegDB has no fourth stage; its third makes 1024 channels.
    shorter = dataset == 'regdb'
    assert len(backbone.trunk.strides) == 3 + (not shorter)
    assert backbone.trunk.strides[-1] == 1 + shorter
    assert tuple(backbone.aggregation.stages) == (0, 1, 2)[:3 - shorter]
    assert backbone.expansion.after_stage == 2 - shorter
    assert head.in_channels == 2048 // (1 + shorter)


def test_ablations_of_deen_change_what_they_say():
    full = Config.fromfile(ROOT / 'configs/deen/deen_r50_151e_sysu.py')

    def differences(one, other, path=''):
        for key in sorted(set(one) | set(other)):
            a, b = one.get(key), other.get(key)
            if isinstance(a, dict) and isinstance(b, dict):
                yield from differences(a, b, f'{path}{key}.')
            elif a != b:
                yield f'{path}{key}'

    for name, keys in (
            ('wo-expansion', ['model.backbone.expansion', 'model.neck.num_branches']),
            ('wo-pair-mining', ['model.head.pair_mining_weight']),
            ('wo-orthogonality', ['model.head.orthogonality_weight']),
            ('unfolded', ['model.backbone.aggregation.fold_positions'])):
        ablation = Config.fromfile(ROOT / f'configs/deen/deen_r50_151e_sysu_{name}.py')
        assert list(differences(full.to_dict(), ablation.to_dict())) == keys


def test_networks_of_the_recipes():
    agw, caj, cift = (
        Config.fromfile(ROOT / f'configs/{path}_sysu.py').model
        for path in ('agw/agw_r50_81e', 'caj/caj_r50_100e', 'cift/cift_r50_120e'))
    for model in (agw, caj):
        assert model.backbone.modality_specific == 'stem'
        assert model.backbone.non_local == dict(blocks=(0, 2, 3, 0), inter_channels=1)
        assert model.neck == dict(type='GeneralizedMeanPooling', p=3.0)
    assert not agw.head.metric_loss.get('squared', False)
    assert caj.head.metric_loss.squared
    assert [model.test_cfg.flip for model in (agw, caj, cift)] == [False, True, False]
    assert cift.backbone.modality_specific == ()
    assert 'non_local' not in cift.backbone
    assert cift.neck.type == 'mmpretrain.GlobalAveragePooling'
    head = MODELS.build(cift.head)
    assert head.graph == dict(tau_het=0.2, tau_hom=0.4, num_neighbors=4)
    assert (head.hcc_euclidean.margin, head.hcc_kl.margin) == (0.6, 6.0)
    assert head.counterfactual.num_draws == 10
    assert head.counterfactual.c.shape == (64, 1)
    assert head.metric_loss is None
    for model in (agw, caj, cift):
        assert model.backbone.trunk == dict(
            type='mmpretrain.ResNet', depth=50, strides=(1, 2, 2, 1))
        assert model.backbone.init_cfg.checkpoint == 'torchvision://resnet50'


def test_one_line_changes_the_size_of_all_images_of_a_recipe(tmp_path):
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    for path in (tmp_path / 'configs').rglob('*.py'):
        text, lines = re.subn(r'^image_size = \(\d+, \d+\)', 'image_size = (64, 32)',
                              path.read_text(), flags=re.MULTILINE)
        path.write_text(text)
        # Of demos the pictures have a size of their own, of which there is a line too.
        assert lines <= 1
    for config in RUNS:
        if 'r18' in config:
            continue
        cfg = Config.fromfile(tmp_path / config)
        for split in ('train', 'val', 'test'):
            load = cfg[f'{split}_dataloader'].dataset.pipeline[0]
            assert load.type == 'LoadReIDImage'
            assert tuple(load['size']) == (64, 32)


def test_cift_validates_without_re_ranking_and_tests_with_it():
    configs = [config for config in CONFIGS if re.match(r'configs/cift/cift_.*r50_', config)]
    assert configs
    for config in configs:
        cfg = Config.fromfile(ROOT / config)
        validated, tested = cfg.val_evaluator.rankings, cfg.test_evaluator.rankings
        assert set(tested) - set(validated) == {'k_reciprocal'}
        assert all(validated[name] == tested[name] for name in validated)
        # What LastAndBestHook follows unless told otherwise.
        assert next(iter(validated)) == 'backbone'


def test_metrics_and_hooks(cfg):
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        metric = METRICS.build(evaluator)
        assert isinstance(metric, CrossModalityMetric)
    for hook in [*cfg.default_hooks.values(), *cfg.get('custom_hooks', [])]:
        assert isinstance(HOOKS.build(hook), Hook)


def test_trial_keys_exist(cfg):
    for key in cfg.trial_keys:
        node = cfg
        for part in key.split('.'):
            assert part in node
            node = node[part]


def test_a_written_config_reads_back(cfg, tmp_path):
    write_atomically(cfg.pretty_text.encode(), tmp_path / 'config.py')
    assert Config.fromfile(tmp_path / 'config.py').to_dict() == cfg.to_dict()


def models_of(metafile):
    return yaml.safe_load(metafile.read_text())['Models']


def test_model_index_imports_every_metafile():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import'] == [str(path.relative_to(ROOT)) for path in METAFILES]


def test_metafiles_list_exactly_the_configs():
    listed = [entry['Config'] for metafile in METAFILES for entry in models_of(metafile)]
    assert sorted(listed) == CONFIGS


@pytest.mark.parametrize('metafile', METAFILES, ids=lambda path: path.parent.name)
def test_metafile(metafile):
    content = yaml.safe_load(metafile.read_text())
    collections = {collection['Name'] for collection in content['Collections']}
    for collection in content['Collections']:
        assert (ROOT / collection['README']).is_file()
        assert collection['Paper']['Title']
        assert collection['Paper']['URL'].startswith('https://')
    for entry in content['Models']:
        assert entry['In Collection'] in collections
        assert entry['Name'] == Path(entry['Config']).stem
        assert Path(entry['Config']).parent == metafile.parent.relative_to(ROOT)
        stages = load_stages(ROOT / entry['Config'])
        cfg, epochs = stages[-1], sum(int(final_checkpoint(stage)[6:-4]) for stage in stages)
        assert entry['Metadata'].get('Epochs', epochs) == epochs
        assert entry['Metadata'].get('Batch Size', cfg.train_dataloader.batch_size) == (
            cfg.train_dataloader.batch_size)
        metric = METRICS.build(cfg.test_evaluator)
        for result in entry.get('Results', []):
            assert result['Setting'] in metric.settings
            assert result['Ranking'] in metric.rankings
            published, ours = result['Metrics']['Published'], result['Metrics']['Ours']
            assert set(published) in (set(), {'Rank-1', 'mAP'})
            assert set(ours) in (set(), {'Rank-1', 'mAP'})
            assert bool(published) == ('Source' in result)
            assert all(0 < value < 100 for value in [*published.values(), *ours.values()])


@pytest.mark.parametrize('metafile', METAFILES, ids=lambda path: path.parent.name)
def test_method_page_shows_every_config_and_published_number(metafile):
    page = (metafile.parent / 'README.md').read_text()
    shown = {
        tuple(float(part) for part in pair)
        for pair in re.findall(r'(\d+\.\d+) / (\d+\.\d+)', page)
    }
    stated = set()
    for entry in models_of(metafile):
        assert f']({Path(entry["Config"]).name})' in page
        for result in entry.get('Results', []):
            for numbers in result['Metrics'].values():
                stated |= {(numbers['Rank-1'], numbers['mAP'])} if numbers else set()
    assert shown == stated


def test_ablations_change_the_head_alone():
    for config in ('cift_r50_120e_sysu_wo-cri', 'cift_r50_120e_sysu_wo-graph'):
        ablation = Config.fromfile(ROOT / f'configs/cift/{config}.py')
        full = Config.fromfile(ROOT / 'configs/cift/cift_r50_120e_sysu.py')
        assert ablation.train_dataloader == full.train_dataloader
        assert ablation.optim_wrapper == full.optim_wrapper
        assert ablation.model.backbone == full.model.backbone
    head = MODELS.build(
        Config.fromfile(ROOT / 'configs/cift/cift_r50_120e_sysu_wo-cri.py').model.head)
    assert head.counterfactual is None
    assert head.directions == ('r2i', 'i2r')


@pytest.mark.parametrize(('dataset', 'size', 'ids', 'images', 'milestones'), [
    ('sysu', (384, 128), 16, 4, (80, 120)), ('llcm', (384, 128), 16, 4, (80, 120)),
    ('regdb', (256, 128), 12, 5, (110, ))])
def test_recipe_of_mpanet(dataset, size, ids, images, milestones):
    cfg = Config.fromfile(ROOT / f'configs/mpanet/mpanet_r50_140e_{dataset}.py')
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=3.5e-4, weight_decay=5e-4)
    epoch = np.arange(140)
    drops = sum((epoch >= milestone).astype(int) for milestone in milestones)
    np.testing.assert_allclose(rates_over_epochs(cfg)[:, 0], 3.5e-4 * 0.1**drops)

    sampler = cfg.train_dataloader.sampler
    assert sampler.type == 'CrossModalityExhaustiveSampler'
    assert (sampler.num_ids, sampler.num_visible, sampler.num_infrared) == (ids, images, images)
    text = ' '.join(
        repr(TRANSFORMS.build(t)) for t in cfg.train_dataloader.dataset.pipeline)
    names = re.findall(r'(\w+)\(', text)
    assert [name for name in names if name[0].isupper()] == [
        'LoadReIDImage', 'RandomFlip', 'PadRandomCrop', 'Normalize', 'RandomErasing',
        'PackReIDInputs']
    assert f"LoadReIDImage(size={size}, interpolation='bilinear'" in text
    assert 'PadRandomCrop(padding=10, fill=127)' in text
    assert ('RandomErasing(prob=0.5, area_range=(0.02, 0.33), aspect_range=(0.3, 3.3), '
            "fill=[0.0, 0.0, 0.0], aspect='log_uniform', attempts=10)") in text


def test_partmix_is_mpanet_and_a_loss_with_all_its_constants():
    for dataset in ('sysu', 'regdb', 'llcm'):
        base, mixing = (Config.fromfile(ROOT / f'configs/{name}/{name}_r50_140e_{dataset}.py')
                        for name in ('mpanet', 'partmix'))
        head = mixing.model.head
        assert (head.pop('num_patterns'), head.pop('start_epoch'), head.pop('part_mix')) == (
            base.model.neck.num_patterns, 10, dict(
                num_mixes=4, mix_rate=0.5, keep_rate=0.5, temperature=0.07, loss_weight=0.5))
        assert head.pop('type') == 'PartMixHead'
        base.model.head.pop('type')
        assert mixing.pop('part_mix_head').type == 'PartMixHead'  # what the head was copied from
        assert mixing.to_dict() == base.to_dict()


def test_everything_of_partmix_is_called_unofficial():
    folder = ROOT / 'configs' / 'partmix'
    assert all('nofficial' in path.read_text() for path in folder.iterdir() if path.is_file()
               if path.suffix != '.py' or 'wo-' not in path.name)
    for config in folder.glob('*.py'):
        assert f'[{config.name}]' in (folder / 'README.md').read_text()
    for part in ('PartMixHead', 'PartMixLoss'):
        assert 'Unofficial, not reproduced' in MODELS.get(part).__doc__
