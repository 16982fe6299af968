"""Every example of docs/en/add_a_part.md is used as the page says, and trains."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from test_readme import blocks

from mmvireid.clustering import SplitMemory
from mmvireid.config import apply_options
from mmvireid.datasets import SYSUMM01
from mmvireid.registry import DATASETS, METRICS, MODELS
from mmvireid.structures import BatchInfo, ImageSet, ReIDDataSample

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'docs/en' / name for name in ('add_a_part.md', 'unsupervised.md')]
PARTS = ['my_dataset', 'my_backbone', 'my_neck', 'my_head', 'my_centre_loss', 'my_memory',
         'my_metric', 'my_scorer']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The files of the page, beside the configs, on Python's path as PYTHONPATH=. puts them."""
    folder = tmp_path_factory.mktemp('reader')
    (folder / 'configs').symlink_to(ROOT / 'configs')
    for page in PAGES:
        for mark, name, text in blocks(page, 'python'):
            if mark == 'file':
                (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    for name in PARTS:
        sys.modules.pop(name, None)


@pytest.fixture(scope='module')
def people(tmp_path_factory, tiny_sysu):
    """The tiny dataset in the layout of the page's dataset."""
    root = tmp_path_factory.mktemp('people')
    for split, source in (('train', 'trainval'), ('test', 'test')):
        for record in SYSUMM01(str(tiny_sysu), split=source).load_records():
            kind = ('visible', 'infrared')[record.modality]
            target = root / split / f'{record.identity:04}' / kind
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(record.path, target / f'{record.camera}_{Path(record.path).name}')
    return root


def config(folder, part):
    return Config.fromfile(folder / f'{part}_config.py')


def batch(num_ids=4, each=2, channels=16):
    """Pooled features, identities and modality, visible first, as a head gets them."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.arange(num_ids).repeat_interleave(each).repeat(2)
    modality = torch.arange(2).repeat_interleave(num_ids * each)
    pooled = torch.randn(len(ids), channels, generator=generator, requires_grad=True)
    return pooled, ids, modality


def small_head(cfg):
    return MODELS.build({**cfg.model.head, 'num_classes': 4, 'in_channels': 16})


def test_each_part_has_a_file_and_a_config(folder):
    written = {path.stem for path in folder.glob('my_*.py')}
    assert {*PARTS, *(f'{part}_config' for part in PARTS)} <= written
    for part in PARTS:
        lines = [line for line in (folder / f'{part}.py').read_text().splitlines() if line]
        assert len(lines) <= 26, part
        assert config(folder, part).custom_imports['imports'] == [part]


def test_dataset(folder, people, tiny_sysu):
    cfg = config(folder, 'my_dataset')
    loaders = {'train': cfg.train_dataloader, 'test': cfg.test_dataloader}
    for split, source in (('train', 'trainval'), ('test', 'test')):
        dataset = DATASETS.build({**loaders[split].dataset, 'data_root': str(people)})
        same = SYSUMM01(str(tiny_sysu), split=source)
        assert len(dataset) == len(same) > 0
        for name in ('identities', 'cameras', 'modalities', 'labels'):
            assert sorted(getattr(dataset, name)) == sorted(getattr(same, name)), name
        assert dataset[0]['inputs'].shape == (1, 3, 288, 144)
    assert cfg.val_dataloader.dataset == cfg.test_dataloader.dataset
    METRICS.build(cfg.test_evaluator)


def test_backbone(folder):
    cfg = config(folder, 'my_backbone')
    model = MODELS.build(cfg.model)
    images, modality = torch.rand(64, 3, 48, 24), torch.arange(2).repeat(32)
    maps = model.backbone(images, modality)
    assert maps.shape == (64, cfg.model.head.in_channels, 6, 3)
    # Infrared images are known by their first channel; a visible image by all three.
    changed = images.clone()
    changed[:, 1:] = 0
    same = torch.isclose(model.backbone(changed, modality), maps).flatten(1).all(1)
    assert same.tolist() == [m == 1 for m in modality.tolist()]
    samples = [
        ReIDDataSample(metainfo=dict(label=i // 8, modality=m, img_path='', sample_idx=i))
        for i, m in enumerate(modality.tolist())
    ]
    losses = model(images, samples, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(p.grad is not None for p in model.backbone.parameters())


def test_neck(folder):
    cfg = config(folder, 'my_neck')
    neck = MODELS.build(cfg.model.neck)
    maps = torch.tensor([[[[0., 1.], [2., 5.]], [[1., 1.], [1., 1.]]]], requires_grad=True)
    pooled = neck(maps)
    assert pooled.tolist() == [[2. + 5., 1. + 1.]]
    pooled.sum().backward()
    assert (maps.grad > 0).all()
    cfg.model.backbone.init_cfg = None
    assert type(MODELS.build(cfg.model).neck) is type(neck)


def test_head(folder):
    cfg = config(folder, 'my_head')
    head = small_head(cfg)
    pooled, ids, modality = batch()
    _, logits = head(pooled)
    assert logits.abs().max() <= cfg.model.head.scale + 1e-4
    info = BatchInfo(modality=modality, label=ids)
    losses = head.loss(pooled, info)
    assert set(losses) == {'loss_ce', 'loss_metric', 'accuracy'}  # AGW's triplet loss stays
    head.margin = 0.0
    assert head.loss(pooled, info)['loss_ce'] < losses['loss_ce']
    (losses['loss_ce'] + losses['loss_metric']).backward()
    assert torch.isfinite(pooled.grad).all()
    assert head.classifier.weight.grad.abs().sum() > 0
    descriptors = head.predict(pooled)['base']
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(len(pooled)))


def test_loss(folder):
    cfg = config(folder, 'my_centre_loss')
    head = small_head(cfg)
    # Person 0: means (1, 0) and (1, 2); person 1: equal means; person 2: visible only.
    embeddings = torch.tensor([[0., 0.], [2., 0.], [3., 3.], [9., 9.], [1., 2.], [3., 3.]])
    ids, modality = torch.tensor([0, 0, 1, 2, 0, 1]), torch.tensor([0, 0, 0, 0, 1, 1])
    assert float(head.metric_loss(embeddings, ids, modality)) == pytest.approx(0.1 * (4 + 0) / 2)
    # Without any person in both modalities there is nothing to bring together.
    assert head.metric_loss(embeddings, ids, torch.zeros(6)) == 0

    pooled, ids, modality = batch()
    info = BatchInfo(modality=modality, label=ids)
    losses = head.loss(pooled, info)
    torch.testing.assert_close(losses['loss_metric'], head.metric_loss(pooled, ids, modality))
    losses['loss_metric'].backward()
    assert pooled.grad.abs().sum() > 0


def test_memory(folder):
    cfg = config(folder, 'my_memory')
    head = MODELS.build({**cfg.model.head, 'in_channels': 16}).eval()
    features, labels, modality = (value.detach() for value in batch())
    images = ImageSet(
        dict(base=features), identity=np.full(len(labels), -1), camera=modality.numpy() + 1,
        modality=modality.numpy(), sample_idx=np.arange(len(labels)))
    head.reset({'cross': SplitMemory()(images, labels.numpy(), labels.numpy())})
    memory, = head.memories('cross').values()
    assert type(memory).__name__ == 'CarefulMemory'
    assert memory.mode == 'hybrid'  # the other arguments are BMIL's
    before = memory.prototypes.clone()

    # A step: an image that turns away from its prototype does not move it.
    pooled = features.clone()
    pooled[:2] *= -1  # both visible images of person 0
    pooled.requires_grad_()
    info = BatchInfo(modality=modality, index=torch.arange(len(pooled)), branch='cross')
    sum(head.loss(pooled, info).values()).backward()
    assert torch.isfinite(pooled.grad).all()
    assert pooled.grad.abs().sum() > 0
    head.update_memories()
    moved = (memory.prototypes != before).any(1).view(2, -1)  # mean and hard prototypes
    assert not moved[:, 0].any()
    assert moved[0, 1:].all()


def test_scorer(folder):
    cfg = config(folder, 'my_scorer')
    apply_options(cfg, {})
    rankings = METRICS.build(cfg.test_evaluator).rankings
    assert list(rankings) == ['backbone', 'k_reciprocal', 'cift', 'without_hubs']
    ranking = rankings['without_hubs']
    assert ranking.label == 'without_hubs (whole gallery)'
    # The mean of everybody is nearest to each query, but also to the rest of the gallery.
    people = torch.eye(8)
    hub = torch.full((1, 8), 8**-0.5)
    queries = torch.nn.functional.normalize(people + 1.5 * hub)
    zeros = np.zeros(9, dtype=int)

    def images(rows, modality):
        n = len(rows)
        return ImageSet(dict(base=rows), zeros[:n], zeros[:n], zeros[:n] + modality, np.arange(n))

    query, gallery = images(queries, 1), images(torch.cat([people, hub]), 0)
    assert (rankings['backbone'].prepare(gallery).nearest(query, 1).rows == 8).all()
    assert ranking.prepare(gallery).nearest(query, 1).rows.flatten().tolist() == list(range(8))


def test_metric(folder):
    cfg = config(folder, 'my_metric')
    metric = METRICS.build({**cfg.val_evaluator, 'num_trials': 3, 'rankings': None})
    rng = np.random.default_rng(0)
    samples = []
    for modality in (0, 1):
        for person in range(6):
            for number in range(3):
                row = torch.eye(6)[(person + (modality and person < 2)) % 6]
                samples.append(dict(
                    img_path=f'{modality}/{person}/{number}.jpg', identity=person, camera=0,
                    modality=modality, sample_idx=len(samples),
                    descriptors=dict(base=row + 1e-3 * torch.from_numpy(rng.normal(size=6)))))
    metric.process(None, samples)
    values = metric.evaluate(len(samples))
    # Persons 0 and 1 are taken for their successors, the others are found first.
    assert values['own/i2v/base/R1'] == pytest.approx(100 * 4 / 6)
    assert values['own/i2v/base/median_rank'] == 1
    trials = metric.trials(metric.images, 'i2v')
    for trial in trials:
        assert metric.images.identity[trial.gallery].tolist() == list(range(6))
        assert (metric.images.modality[trial.gallery] == 0).all()
        assert (metric.images.modality[trial.query] == 1).all()
    assert len({tuple(trial.gallery) for trial in trials}) > 1


@pytest.mark.slow
def test_several_parts_train_together(folder, people, run_tool, tmp_path):
    """Dataset, backbone, neck, head with its loss, and metric, by the command of the page."""
    (folder / 'together.py').write_text(f'''
_base_ = ['my_dataset_config.py']
custom_imports = dict(
    imports=['my_dataset', 'my_backbone', 'my_neck', 'my_centre_loss', 'my_metric'])
model = dict(
    backbone=dict(_delete_=True, type='GreyStemNet', width=8),
    neck=dict(_delete_=True, type='AveragePlusMax'),
    head=dict(num_classes=8, in_channels=32,
              metric_loss=dict(_delete_=True, type='CentreGapLoss')))
load = dict(type='LoadReIDImage', size=(48, 24))
pack = dict(type='PackReIDInputs')
small = dict(data_root='{people}', pipeline=[load, pack])
train_dataloader = dict(
    batch_size=16, num_workers=0, dataset=small,
    sampler=dict(num_ids=4, num_visible=2, num_infrared=2))
test_dataloader = dict(num_workers=0, dataset=small)
val_dataloader = test_dataloader
test_evaluator = dict(_delete_=True, type='OnePictureEach', num_trials=2)
val_evaluator = test_evaluator
default_hooks = dict(logger=dict(interval=1))
train_cfg = dict(max_epochs=1, val_interval=1)
''')
    done = run_tool(ROOT / 'tools/train.py', 'together.py', '--work-dir', tmp_path, cwd=folder,
                    PYTHONPATH=f'{folder}')
    assert 'median_rank' in done.stdout + done.stderr
    rows = [json.loads(line) for path in tmp_path.rglob('scalars.json')
            for line in path.read_text().splitlines()]
    assert all(row['loss_metric'] > 0 for row in rows if 'loss' in row)
    assert any('own/i2v/base/median_rank' in row for row in rows)
    assert (tmp_path / 'epoch_1.pth').is_file()


@pytest.mark.slow
def test_memory_and_associator_train_together(folder, tiny_bmil_config, run_tool, tmp_path):
    """Global clusters alone with both, on the tiny dataset."""
    (folder / 'unsupervised.py').write_text(f'''
_base_ = ['{tiny_bmil_config.with_stem('bmil_tiny_cross')}']
custom_imports = dict(imports=['my_memory', 'my_associator'])
model = dict(head=dict(branches=dict(cross=dict(memory=dict(type='CarefulMemory')))))
near = dict(type='JaccardDBSCAN', eps=0.5, min_samples=2,
            neighbors=dict(type='PlainNeighbors', k1=8, k2=3))
default_hooks = dict(pseudo_labels=dict(labellers=dict(cross=dict(
    partition=dict(_delete_=True, type='IntraModalityClustering', visible=near),
    associate=dict(type='MutualNearest'),
    plan=dict(type='SharedMemory')))))
train_dataloader = dict(sampler=dict(turns=['cross']))
train_cfg = dict(max_epochs=1)
''')
    run_tool(ROOT / 'tools/train.py', 'unsupervised.py', '--work-dir', tmp_path, '--no-validate',
             cwd=folder, PYTHONPATH=f'{folder}')
    row, = json.loads((tmp_path / 'clustering.json').read_text())
    assert row['branch'] == 'cross'
    assert row['mixed'] > 0  # only the associator joins clusters of the two modalities
    assert (tmp_path / 'epoch_1.pth').is_file()
