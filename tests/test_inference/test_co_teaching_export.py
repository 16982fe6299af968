"""Several networks behind one descriptor: checkpoint, search, export, counting."""

import runpy

import pytest
import torch
from inference_models import write_checkpoint
from mmengine.analysis import FlopAnalyzer

from mmvireid.apis import VIReIDInferencer
from mmvireid.config import load_config
from mmvireid.inference.embedders import build_network
from mmvireid.inference.onnx_export import export_onnx
from mmvireid.structures import Modality


@pytest.fixture(scope='module')
def co_teaching(tmp_path_factory, repo_root):
    """A config of two tiny networks, and a checkpoint of theirs."""
    path = tmp_path_factory.mktemp('co_teaching') / 'tiny.py'
    path.write_text(f'''
_base_ = ['{repo_root}/configs/dart/dart_r18_demo.py']
model = dict(
    channels_last=False,
    backbone=dict(trunk=dict(
        base_channels=8, stem_channels=8, num_stages=2, strides=(1, 2), dilations=(1, 1),
        out_indices=(1, ))),
    head=dict(num_classes=8, in_channels=16))
test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadReIDImage', size=(48, 24)), dict(type='PackReIDInputs')]))
''')
    return path, write_checkpoint(path, path.with_name('epoch_1.pth'))


def test_search_by_the_mean_and_export(co_teaching, footage):
    pytest.importorskip('onnxscript')
    config, weights = co_teaching
    cfg = load_config(config)
    exported = config.with_name('model.onnx')
    difference = export_onnx(cfg, weights, exported)
    assert set(difference) == {'base', 'member_1', 'member_2'}
    assert max(difference.values()) < 1e-5
    folders = [footage / 'day', footage / 'night']
    found = {}
    for file in (weights, exported):
        inferencer = VIReIDInferencer(config, file, 'cpu')
        rows = inferencer.extract(folders, ['visible', 'infrared'])
        inferencer.index(folders[0], 'visible')
        result, = inferencer.search(footage / 'night' / '0.png', 2, 'infrared')
        assert len(result.gallery) == 2
        found[file] = rows
    torch.testing.assert_close(*found.values(), atol=1e-5, rtol=0)


def test_both_networks_are_counted(co_teaching, repo_root):
    config, weights = co_teaching
    model = build_network(load_config(config), weights)
    describe = runpy.run_path(str(repo_root / 'tools/analysis_tools/get_flops.py'))['Describe']
    totals = []
    for part in (model, *model.members):
        counter = FlopAnalyzer(describe(part, Modality.INFRARED), torch.zeros(1, 3, 48, 24))
        counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        totals.append(counter.total())
    assert totals[0] == sum(totals[1:])
    assert totals[1] == totals[2] > 0
