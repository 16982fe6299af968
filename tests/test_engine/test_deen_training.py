"""DEEN from training to search: rows of several branches through every part of the toolbox."""

import runpy
import sys

import numpy as np
import pytest
import torch
from bmil import assert_same, load, losses, model_of, train
from commands import ROOT

from mmvireid.apis import VIReIDInferencer
from mmvireid.config import load_config
from mmvireid.inference.embedders import build_network
from mmvireid.inference.onnx_export import DescriptorGraph, export_onnx
from mmvireid.structures import Modality
from mmvireid.utils.errors import CheckpointError


@pytest.fixture(scope='module')
def config(tmp_path_factory, tiny_sysu):
    """A config that trains DEEN on the tiny dataset in seconds."""
    path = tmp_path_factory.mktemp('configs') / 'deen_tiny.py'
    path.write_text(f'''
_base_ = ['{ROOT}/configs/deen/deen_r18_demo.py']
data_root = '{tiny_sysu}'
model = dict(
    # Six steps long: statistics that follow quickly, as testing uses them.
    backbone=dict(trunk=dict(
        base_channels=8, stem_channels=8,
        norm_cfg=dict(type='BN', requires_grad=True, momentum=0.5))),
    head=dict(num_classes=8, in_channels=64))
load = dict(type='LoadReIDImage', size=(48, 24))
pack = dict(type='PackReIDInputs')
train_dataloader = dict(
    batch_size=16,
    dataset=dict(data_root=data_root, pipeline=[
        load, dict(type='RandomGrayscale', prob=0.5), dict(type='RandomFlip', prob=0.5), pack]),
    sampler=dict(num_ids=4, num_visible=2, num_infrared=2, num_steps=3))
test_dataloader = dict(
    batch_size=32, dataset=dict(data_root=data_root, pipeline=[load, pack]))
val_dataloader = test_dataloader
val_evaluator = dict(num_trials=2)
train_cfg = dict(max_epochs=2, val_interval=2)
default_hooks = dict(logger=dict(interval=1))
''')
    return path


@pytest.fixture(scope='module')
def trained(config, tmp_path_factory):
    """Work directory and runner of a whole training."""
    work_dir = tmp_path_factory.mktemp('deen')
    runner, = train(config, work_dir, validate=True)
    return work_dir, runner


@pytest.mark.slow
def test_resumed_equals_unbroken(config, trained, tmp_path):
    work_dir, runner = trained
    train(config, tmp_path, resume=str(work_dir / 'epoch_1.pth'))
    one, other = (load(folder / 'epoch_2.pth') for folder in (work_dir, tmp_path))
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(one[key], other[key])
    steps = losses(work_dir, after_epoch=1)
    assert steps == losses(tmp_path)
    assert {'loss_ce', 'loss_metric', 'loss_pair_mining', 'loss_orthogonality'} <= steps[0].keys()
    assert all(np.isfinite(value) for step in steps for value in step.values())
    # The attentions have come to life, and a validation has ranked what they give.
    for block in model_of(runner).backbone.extensions[:3]:
        assert block.channel.bn.weight.any()
        assert block.pixel.bn.weight.any()
    assert 'all_single/base/mAP"' in next(work_dir.glob('*/vis_data/scalars.json')).read_text()


@pytest.mark.slow
def test_descriptors_are_searched_and_exported(config, trained, tiny_sysu, tmp_path):
    """Six vectors of 64, side by side; the mirror image is averaged in."""
    checkpoint = trained[0] / 'epoch_2.pth'
    inferencer = VIReIDInferencer(config, checkpoint, 'cpu')
    pictures = {m: sorted(tiny_sysu.glob(f'cam{camera}/*/*.jpg'))[:5]
                for m, camera in (('visible', 1), ('infrared', 3))}
    rows = inferencer.extract(pictures['visible'], 'visible')['base']
    assert rows.shape == (5, 384)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(5))
    inferencer.index(pictures['visible'], 'visible')
    result, = inferencer.search(pictures['infrared'][0], 3, 'infrared')
    assert len(result.gallery) == 3

    cfg = load_config(config)
    model = build_network(cfg, checkpoint)
    images = torch.randint(0, 256, (3, 3, 48, 24), dtype=torch.uint8,
                           generator=torch.Generator().manual_seed(0))
    scaled = (images.float() - model.data_preprocessor.mean) / model.data_preprocessor.std
    with torch.no_grad():
        wanted = model.describe(scaled, torch.ones(3, dtype=torch.long))
        found = DescriptorGraph(model, Modality.INFRARED).describe(images)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)

    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    plain = {'model.test_cfg.flip': False}  # half as much to export
    difference = export_onnx(load_config(config, plain), checkpoint, tmp_path / 'deen.onnx')
    assert difference['base'] < 1e-5
    exported = VIReIDInferencer(config, tmp_path / 'deen.onnx', 'cpu', cfg_options=plain)
    network = VIReIDInferencer(config, checkpoint, 'cpu', cfg_options=plain)
    torch.testing.assert_close(
        exported.extract(pictures['visible'], 'visible')['base'],
        network.extract(pictures['visible'], 'visible')['base'], atol=1e-5, rtol=0)
    # Other weights of the six are other descriptors, though the network is the same.
    other = {**plain, 'model.head.descriptors': dict(base=(0.1, 0.9))}
    with pytest.raises(CheckpointError, match='from another model: its head'):
        VIReIDInferencer(config, tmp_path / 'deen.onnx', 'cpu', cfg_options=other)
    reweighted = VIReIDInferencer(config, checkpoint, 'cpu', cfg_options=other)
    assert exported.embedder.fingerprint == network.embedder.fingerprint
    assert reweighted.embedder.fingerprint != network.embedder.fingerprint


def test_multiplications_are_counted(config, monkeypatch, capsys):
    counted = []
    plain = ['--cfg-options', 'model.backbone.aggregation=None', 'model.backbone.expansion=None',
             'model.neck.num_branches=1']
    for options in ([], plain):
        monkeypatch.setattr(
            sys, 'argv', ['get_flops.py', str(config), '--shape', '96', '48', *options])
        runpy.run_path(f'{ROOT}/tools/analysis_tools/get_flops.py', run_name='__main__')
        line, = (line for line in capsys.readouterr().out.splitlines()
                 if line.startswith('infrared:'))
        counted.append(float(line.split()[1]))
    assert counted[0] > 1.5 * counted[1] > 0
