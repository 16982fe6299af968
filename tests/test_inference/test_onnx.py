"""Exported models beside the networks that they come from."""

import numpy as np
import pytest
import torch
from inference_models import STEMS

from mmvireid.apis import InputError, VIReIDInferencer
from mmvireid.config import load_config
from mmvireid.inference.embedders import build_network
from mmvireid.inference.onnx_export import DescriptorGraph, export_onnx
from mmvireid.structures import Modality
from mmvireid.utils.errors import CheckpointError, ConfigError

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

@pytest.fixture(scope='module')
def exported(tiny_config, stem_weights, tmp_path_factory):
    """Two stems, a non-local block, GeM, CIFT's descriptors."""
    path = tmp_path_factory.mktemp('onnx') / 'model.onnx'
    cfg = load_config(tiny_config, STEMS)
    return path, export_onnx(cfg, stem_weights, path)


@pytest.mark.parametrize('only', [None, *Modality])
@pytest.mark.parametrize('flip', [False, True])
def test_the_graph_computes_what_the_network_computes(tiny_config, stem_weights, only, flip):
    cfg = load_config(tiny_config, {**STEMS, 'model.test_cfg.flip': flip})
    model = build_network(cfg, stem_weights)
    graph = DescriptorGraph(model, only)
    assert graph.needs_modality == (only is None)
    images = torch.randint(0, 256, (5, 3, 48, 24), dtype=torch.uint8,
                           generator=torch.Generator().manual_seed(0))
    modality = torch.tensor([0, 1, 1, 0, 1]) if only is None else torch.full((5, ), int(only))
    scaled = (images.float() - model.data_preprocessor.mean) / model.data_preprocessor.std
    with torch.no_grad():
        wanted = model.describe(scaled, modality)
        found = graph.describe(images, modality if only is None else None)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert model.backbone.modality_specific  # the network itself stays as it was


def test_the_file_agrees_with_the_network(exported, tiny_config, stem_weights, footage):
    path, difference = exported
    assert set(difference) == {'base', 'r2i', 'i2r'}
    assert max(difference.values()) < 1e-5
    paths = [footage / 'day', footage / 'night']
    found = VIReIDInferencer(tiny_config, path, 'cpu', cfg_options=STEMS)
    network = VIReIDInferencer(tiny_config, stem_weights, 'cpu', cfg_options=STEMS)
    modality = ['visible', 'infrared']
    torch.testing.assert_close(found.extract(paths, modality, batch_size=7),
                               network.extract(paths, modality), atol=1e-5, rtol=0)
    # An index that one of them made serves the other.
    assert found.embedder.fingerprint == network.embedder.fingerprint
    found.index(paths[0], 'visible')
    result, = found.search(footage / 'night' / '0.png', 2, 'infrared', ranking='cift')
    assert len(result.gallery) == 2


def test_the_file_holds_what_is_needed_and_no_more(exported, repo_root):
    content = exported[0].read_bytes()
    proto = onnx.load_from_string(content)
    onnx.checker.check_model(proto)
    names = [weight.name for weight in proto.graph.initializer]
    assert not [name for name in names if 'classifier' in name or 'counterfactual' in name]
    assert str(repo_root).encode() not in content  # nothing of this machine
    shapes = {node.name: [d.dim_param or d.dim_value for d in node.type.tensor_type.shape.dim]
              for node in proto.graph.input}
    assert shapes['images'][1:] == [3, 48, 24]
    assert shapes['images'][:1] == shapes['modality']
    assert isinstance(shapes['modality'][0], str)


def test_files_that_do_not_fit(exported, tiny_config, stem_weights, footage, tmp_path):
    path, _ = exported
    with pytest.raises(CheckpointError, match='from another model: its backbone'):
        VIReIDInferencer(tiny_config, path, 'cpu')
    flip = {**STEMS, 'model.test_cfg.flip': True}
    with pytest.raises(CheckpointError, match='from another model: its test_cfg'):
        VIReIDInferencer(tiny_config, path, 'cpu', cfg_options=flip)
    with pytest.raises(CheckpointError, match='there is no exported model "nowhere.onnx"'):
        VIReIDInferencer(tiny_config, 'nowhere.onnx')
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match='is not a complete exported model'):
        VIReIDInferencer(tiny_config, broken, 'cpu')

    proto = onnx.load(path)
    notes = {entry.key: entry for entry in proto.metadata_props}
    notes['modality'].value = 'visible'
    onnx.save(proto, tmp_path / 'visible.onnx')
    visible = VIReIDInferencer(tiny_config, tmp_path / 'visible.onnx', 'cpu', cfg_options=STEMS)
    visible.index(footage / 'day', 'visible')
    with pytest.raises(InputError, match='has no stem for infrared'):
        visible.search(footage / 'night', 1, 'infrared')
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / 'foreign.onnx')
    with pytest.raises(CheckpointError, match='was not written by'):
        VIReIDInferencer(tiny_config, tmp_path / 'foreign.onnx', 'cpu', cfg_options=STEMS)


def test_a_backbone_of_its_own_is_exported_for_one_modality(tiny_config, weights):
    class Own(torch.nn.Module):
        def forward(self, x, modality):
            return x

    model = build_network(load_config(tiny_config), weights)
    model.backbone = Own()
    with pytest.raises(ConfigError, match='one modality at a time'):
        DescriptorGraph(model)
    assert not DescriptorGraph(model, Modality.VISIBLE).needs_modality


def test_a_wrong_file_is_not_written(tiny_config, stem_weights, tmp_path, monkeypatch, exported):
    """Stand-in for the exporter: the file of other weights."""
    from mmvireid.inference import onnx_export
    proto = onnx.load(exported[0])
    for weight in proto.graph.initializer:
        if weight.name.endswith('running_mean'):
            values = onnx.numpy_helper.to_array(weight) + np.float32(1)
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    monkeypatch.setattr(onnx_export, '_to_bytes', lambda *_: proto.SerializeToString())
    with pytest.raises(CheckpointError, match='differs from PyTorch by'):
        export_onnx(load_config(tiny_config, STEMS), stem_weights, tmp_path / 'model.onnx')
    assert not list(tmp_path.iterdir())
