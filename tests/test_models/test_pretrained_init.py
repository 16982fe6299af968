"""Pre-trained weights: available or not, and of this network or of another."""

import hashlib
import http.client
import io
import logging
import urllib.error
from collections import OrderedDict

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmvireid.models import CrossModalityBackbone
from mmvireid.models.utils import PretrainedIfAvailable
from mmvireid.registry import MODELS
from mmvireid.structures import ReIDDataSample
from mmvireid.utils.errors import CheckpointError

#: The real blocks and names of ResNet-18, with few channels.
R18 = {'type': 'mmpretrain.ResNet', 'depth': 18, 'base_channels': 4, 'stem_channels': 4}
R34 = {**R18, 'depth': 34}
R50 = {**R18, 'depth': 50}


@pytest.fixture(autouse=True)
def scope():
    """Names of registries mean mmvireid's, as in a run."""
    with DefaultScope.overwrite_default_scope('mmvireid'):
        yield


def saved(path, config, **extra):
    torch.manual_seed(7)
    weights = MODELS.build(dict(config)).state_dict()
    torch.save({**weights, **extra}, path)
    return weights


def backbone_from(checkpoint, trunk=R18, **options):
    backbone = CrossModalityBackbone(
        trunk, init_cfg={'type': 'Pretrained', 'checkpoint': str(checkpoint)}, **options)
    backbone.init_weights()
    return backbone


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    return tmp_path / 'checkpoints'


@pytest.fixture
def offline(hub, monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError('no route to host')
    monkeypatch.setattr(torch.hub, 'urlopen', refuse)


@pytest.mark.parametrize('checkpoint', ['torchvision://resnet18', 'https://example.org/r18.pth'])
def test_offline_starts_from_scratch(offline, run_log, checkpoint):
    torch.manual_seed(0)
    trunk = backbone_from(checkpoint, {**R18, 'base_channels': 64, 'stem_channels': 64},
                          modality_specific='stem').trunk
    line, = [record for record in run_log if record.levelno == logging.WARNING]
    assert 'no route to host' in line.getMessage()
    assert 'FROM SCRATCH' in line.getMessage()
    assert f'{torch.hub.get_dir()}/checkpoints/r' in line.getMessage()
    # The family's default: Kaiming with fan out, batch normalisation one, but zero at the
    # end of residual branches.
    std = (2 / (64 * 49))**0.5
    assert trunk.conv1.visible.weight.std().item() == pytest.approx(std, rel=0.05)
    assert torch.equal(trunk.conv1.visible.weight, trunk.conv1.infrared.weight)
    assert (trunk.layer1[0].bn1.weight == 1).all()
    assert (trunk.layer1[0].bn2.weight == 0).all()


@pytest.mark.parametrize('error', [
    http.client.IncompleteRead(b'half'), RuntimeError('invalid hash value'), EOFError(),
    TimeoutError('timed out')], ids=lambda error: type(error).__name__)
def test_broken_download_is_unavailable(hub, monkeypatch, run_log, error):
    def fail(*args, **kwargs):
        raise error
    monkeypatch.setattr(torch.hub, 'urlopen', fail)
    backbone_from('torchvision://resnet18')
    line, = [record for record in run_log if record.levelno == logging.WARNING]
    assert (str(error) or 'EOFError') in line.getMessage()


def serve(monkeypatch, content):
    """Let the network answer every address with ``content``."""
    def answer(request):
        response = http.client.HTTPMessage()
        response['Content-Length'] = str(len(content))
        stream = io.BytesIO(content)
        stream.info = lambda: response
        return stream
    monkeypatch.setattr(torch.hub, 'urlopen', answer)


def test_download_is_compared_with_the_hash_in_its_name(hub, monkeypatch, run_log, tmp_path):
    weights = saved(tmp_path / 'r18.pth', R18)
    content = (tmp_path / 'r18.pth').read_bytes()
    name = f'resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth'
    monkeypatch.setattr('mmvireid.checkpoints.reading.get_torchvision_models',
                        lambda: {'resnet18': f'https://example.org/{name}'})

    serve(monkeypatch, content[:-100])
    trunk = backbone_from('torchvision://resnet18').trunk
    assert any('invalid hash value' in record.getMessage() for record in run_log)
    assert not torch.equal(trunk.conv1.weight, weights['conv1.weight'])
    assert not (hub / name).exists()

    serve(monkeypatch, content)
    trunk = backbone_from('torchvision://resnet18').trunk
    assert torch.equal(trunk.conv1.weight, weights['conv1.weight'])
    assert (hub / name).exists()


def test_both_copies_and_non_local_blocks(tmp_path, run_log):
    """A classifier in the file and non-local blocks in the network are no disagreement."""
    classifier = {'fc.weight': torch.zeros(3, 32), 'fc.bias': torch.zeros(3)}
    weights = saved(tmp_path / 'r18.pth', R18, **classifier)
    backbone = backbone_from(tmp_path / 'r18.pth', modality_specific='stem',
                             non_local={'blocks': (0, 1, 1, 0), 'inter_channels': 1})
    state = backbone.trunk.state_dict()
    for name, value in weights.items():
        part, rest = name.split('.', 1)
        copies = ('visible', 'infrared') if part in ('conv1', 'bn1') else (None, )
        for copy in copies:
            assert torch.equal(state[f'{part}.{copy}.{rest}' if copy else name], value), name
    assert any('without fc' in record.getMessage() for record in run_log)
    assert not [record for record in run_log if record.levelno > logging.INFO]


def test_a_prefix_a_wrapper_and_an_old_file_load(tmp_path):
    weights = saved(tmp_path / 'plain.pth', R18)
    variants = {
        'wrapped': ({'state_dict': {f'module.{k}': v for k, v in weights.items()}}, None),
        'part': ({'state_dict': {f'backbone.{k}': v for k, v in weights.items()}}, 'backbone'),
        'old': (OrderedDict((k, v) for k, v in weights.items() if 'num_batches' not in k), None),
    }
    for name, (content, prefix) in variants.items():
        torch.save(content, tmp_path / f'{name}.pth')
        trunk = MODELS.build(dict(R18))
        PretrainedIfAvailable(str(tmp_path / f'{name}.pth'), prefix=prefix)(trunk)
        assert torch.equal(trunk.layer4[1].conv2.weight, weights['layer4.1.conv2.weight']), name


def test_a_trunk_that_the_toolbox_trained_starts_both_stems(tmp_path):
    """What pre-training on visible images alone gives to a network of two modalities."""
    torch.manual_seed(7)
    trained = MODELS.build({
        'type': 'CrossModalityReIdentifier',
        'backbone': {'type': 'CrossModalityBackbone', 'trunk': R18},
        'neck': {'type': 'GeneralizedMeanPooling'},
        'head': {'type': 'BNNeckHead', 'num_classes': 3, 'in_channels': 32}})
    trained.train()(torch.rand(2, 3, 32, 16), [ReIDDataSample(metainfo={'modality': 0})] * 2)
    torch.save({'state_dict': trained.state_dict(), 'meta': {}}, tmp_path / 'epoch_1.pth')

    network = CrossModalityBackbone(R18, modality_specific='stem', init_cfg={
        'type': 'Pretrained', 'checkpoint': str(tmp_path / 'epoch_1.pth'),
        'prefix': 'backbone.trunk', 'made_by': 'python tools/train.py visible.py'})
    network.init_weights()
    images = torch.rand(4, 3, 32, 16)
    wanted, = trained.eval().backbone(images, torch.zeros(4, dtype=int))
    for modality in (0, 1):
        given, = network.eval()(images, torch.full((4, ), modality))
        # Batch statistics came along too.
        torch.testing.assert_close(given, wanted)


def test_a_missing_file_names_the_command_that_makes_it():
    with pytest.raises(CheckpointError, match=r'no file "none.pth" .* make it by "make it"\.$'):
        CrossModalityBackbone(R18, init_cfg={
            'type': 'Pretrained', 'checkpoint': 'none.pth', 'made_by': 'make it'}).init_weights()


def test_stages_that_the_network_leaves_out(tmp_path):
    weights = saved(tmp_path / 'r18.pth', R18)
    three = {**R18, 'num_stages': 3, 'strides': (1, 2, 2), 'dilations': (1, 1, 1),
             'out_indices': (2, )}
    trunk = backbone_from(tmp_path / 'r18.pth', three).trunk
    assert torch.equal(trunk.layer3[0].conv1.weight, weights['layer3.0.conv1.weight'])


def test_position_embeddings_of_another_image_size(tmp_path):
    vit = {'type': 'mmpretrain.VisionTransformer', 'img_size': 64, 'patch_size': 16,
           'arch': {'embed_dims': 8, 'num_layers': 1, 'num_heads': 2,
                    'feedforward_channels': 8}}
    weights = saved(tmp_path / 'vit.pth', vit)
    trunk = backbone_from(tmp_path / 'vit.pth', {**vit, 'img_size': (96, 48)}).trunk
    assert trunk.pos_embed.shape == (1, 1 + 6 * 3, 8)
    assert torch.equal(trunk.pos_embed[:, 0], weights['pos_embed'][:, 0])


@pytest.mark.parametrize(('given', 'wanted', 'first'), [
    (R50, R18, r'layer1.0.conv1.weight.*\[4, 4, 1, 1\].*\[4, 4, 3, 3\]'),
    (R18, R50, r'layer1.0.conv1.weight.*\[4, 4, 3, 3\].*\[4, 4, 1, 1\]'),
    (R18, R34, r'it lacks layer1.2.conv1.weight'),
    (R34, R18, r'the network has no layer1.2.conv1.weight'),
    ({'type': 'mmpretrain.MobileNetV2', 'widen_factor': 0.25}, R18, 'of another network'),
])
@pytest.mark.parametrize('modality_specific', [(), 'stem'])
def test_another_network(tmp_path, given, wanted, first, modality_specific):
    saved(tmp_path / 'other.pth', given)
    with pytest.raises(CheckpointError, match=first) as caught:
        backbone_from(tmp_path / 'other.pth', wanted, modality_specific=modality_specific)
    assert str(tmp_path / 'other.pth') in str(caught.value)
    assert 'set model.backbone.init_cfg.checkpoint=' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_the_right_weights_are_named(tmp_path):
    saved(tmp_path / 'r50.pth', R50)
    with pytest.raises(CheckpointError, match='checkpoint=torchvision://resnet18, or'):
        backbone_from(tmp_path / 'r50.pth', {**R18, 'base_channels': 64, 'stem_channels': 64})


def test_the_network_is_a_part(tmp_path):
    weights = saved(tmp_path / 'plain.pth', R18)
    torch.save({f'backbone.{k}': v for k, v in weights.items()}, tmp_path / 'whole.pth')
    for modality_specific in ((), 'stem'):
        with pytest.raises(CheckpointError, match=r'init_cfg.prefix=backbone\.$'):
            backbone_from(tmp_path / 'whole.pth', modality_specific=modality_specific)
    with pytest.raises(CheckpointError, match='no parameters under "trunk"'):
        PretrainedIfAvailable(str(tmp_path / 'whole.pth'), prefix='trunk')(MODELS.build(dict(R18)))


def test_wrong_names(tmp_path):
    for checkpoint, words in {
            tmp_path / 'none.pth': 'there is no file ".*none.pth"',
            'torchvision://resnet19': 'no pre-trained model "resnet19"',
            's3://bucket/r50.pth': r'cannot come from "s3://.*torchvision://<model>',
            'file:///r50.pth': 'cannot come from "file:'}.items():
        with pytest.raises(CheckpointError, match=words):
            PretrainedIfAvailable(str(checkpoint))(nn.Linear(1, 1))


def test_broken_files(tmp_path):
    saved(tmp_path / 'r18.pth', R18)
    half = (tmp_path / 'r18.pth').read_bytes()[:5000]
    for content in (half, b'', b'<html>not found</html>'):
        (tmp_path / 'broken.pth').write_bytes(content)
        with pytest.raises(CheckpointError, match='broken.pth" is not a complete checkpoint'):
            backbone_from(tmp_path / 'broken.pth')
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(CheckpointError, match='no parameters by name'):
        backbone_from(tmp_path / 'list.pth')
