"""Backbones of mmpretrain with copies of modules for each modality."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmvireid.models import CrossModalityBackbone, PerModality

R18 = {'type': 'mmpretrain.ResNet', 'depth': 18, 'strides': (1, 2, 2, 1)}
FAMILIES = {
    'resnet': (R18, ('conv1', 'bn1')),
    'resnet_v1d': ({'type': 'mmpretrain.ResNetV1d', 'depth': 18}, ('stem', )),
    'regnet': ({'type': 'mmpretrain.RegNet', 'arch': 'regnetx_400mf'}, ('conv1', 'bn1')),
    'mobilenet_v2': ({'type': 'mmpretrain.MobileNetV2', 'widen_factor': 0.5}, ('conv1', )),
    'convnext': ({'type': 'mmpretrain.ConvNeXt', 'arch': {
        'depths': [1, 1, 1, 1], 'channels': [8, 8, 16, 16]}}, ('downsample_layers.0', )),
    'vit': ({'type': 'mmpretrain.VisionTransformer', 'img_size': (64, 32), 'patch_size': 16,
             'arch': {'embed_dims': 16, 'num_layers': 1, 'num_heads': 2,
                      'feedforward_channels': 16}}, ('patch_embed', )),
    'efficientnet': ({'type': 'mmpretrain.EfficientNet', 'arch': 'b0'}, ('layers.0', )),
}


def images(n=4, seed=0, size=(64, 32)):
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


def last(features):
    return features[-1] if isinstance(features, (tuple, list)) else features


def make_different(backbone):
    """Move the infrared copies, so that a wrong route shows."""
    for module in backbone.trunk.modules():
        if isinstance(module, PerModality):
            for parameter in module.infrared.parameters():
                parameter.data.add_(0.3 * torch.rand_like(parameter))
    return backbone


@pytest.mark.parametrize('family', FAMILIES)
def test_each_row_takes_its_route(family):
    trunk, stem = FAMILIES[family]
    torch.manual_seed(0)
    backbone = make_different(CrossModalityBackbone(trunk, modality_specific='stem'))
    backbone = backbone.eval()
    assert backbone.modality_specific == stem
    x = images()
    with torch.no_grad():
        visible = last(backbone(x, torch.zeros(4, dtype=torch.long)))
        infrared = last(backbone(x, torch.ones(4, dtype=torch.long)))
        mixed = last(backbone(x, torch.tensor([1, 0, 0, 1])))
    # Untrained networks may end with tiny activations.
    scale = visible.abs().max()
    assert (visible - infrared).abs().max() > 0.05 * scale
    expected = torch.stack([infrared[0], visible[1], visible[2], infrared[3]])
    torch.testing.assert_close(mixed / scale, expected / scale, atol=1e-3, rtol=0)


@pytest.mark.parametrize('family', FAMILIES)
def test_plain_checkpoint_loads_into_both_copies(family):
    trunk, _ = FAMILIES[family]
    torch.manual_seed(0)
    plain = CrossModalityBackbone(trunk)
    two_stream = make_different(CrossModalityBackbone(trunk, modality_specific='stem'))
    result = two_stream.load_state_dict(plain.state_dict(), strict=True)
    assert not result.missing_keys
    assert not result.unexpected_keys
    plain.eval(), two_stream.eval()
    with torch.no_grad():
        for modality in (torch.zeros(4), torch.ones(4), torch.tensor([0, 1, 0, 1])):
            torch.testing.assert_close(
                last(two_stream(images(), modality.long())),
                last(plain(images(), modality.long())), atol=1e-5, rtol=1e-4)


def test_two_stream_checkpoint_loads_as_it_is():
    torch.manual_seed(0)
    saved = make_different(CrossModalityBackbone(R18, modality_specific='stem'))
    loaded = CrossModalityBackbone(R18, modality_specific='stem')
    loaded.load_state_dict(saved.state_dict(), strict=True)
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, saved.state_dict()[key])


def test_pretrained_init_cfg(tmp_path):
    """The weights of a single-stream checkpoint, as on the model zoos, reach both copies."""
    from mmvireid.registry import MODELS
    torch.manual_seed(0)
    plain = MODELS.build(dict(R18))
    path = tmp_path / 'resnet18.pth'
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in plain.state_dict().items()}}, path)
    pretrained = {'type': 'Pretrained', 'checkpoint': str(path), 'prefix': 'backbone'}
    for config in ({'trunk': {**R18, 'init_cfg': pretrained}},
                   {'trunk': R18, 'init_cfg': pretrained}):
        backbone = CrossModalityBackbone(
            **config, modality_specific=('conv1', 'bn1'),
            non_local={'blocks': (0, 1, 1, 0), 'inter_channels': 1})
        backbone.init_weights()
        state = backbone.state_dict()
        for key, value in plain.state_dict().items():
            if key.split('.')[0] in ('conv1', 'bn1'):
                first, rest = key.split('.', 1)
                for copy in ('visible', 'infrared'):
                    assert torch.equal(state[f'trunk.{first}.{copy}.{rest}'], value)
            else:
                assert torch.equal(state[f'trunk.{key}'], value)
        for block in backbone.non_local:
            assert block.conv_out.norm.weight.abs().max() == 0


def test_mmengine_loader_reports_nothing(capsys):
    plain = CrossModalityBackbone(R18)
    two_stream = CrossModalityBackbone(R18, modality_specific='stem')
    load_state_dict(two_stream, plain.state_dict(), strict=True)
    assert capsys.readouterr().out == ''


def test_without_init_cfg_the_family_initialises_itself():
    torch.manual_seed(0)
    backbone = CrossModalityBackbone({**R18, 'init_cfg': None}, modality_specific='stem')
    backbone.init_weights()
    stem = backbone.trunk.conv1
    assert torch.equal(stem.visible.weight, stem.infrared.weight)
    assert stem.visible.weight is not stem.infrared.weight
    # Kaiming, fan out: 64 filters of 7 x 7.
    assert stem.visible.weight.std().item() == pytest.approx((2 / (64 * 49))**0.5, rel=0.05)
    # The family's zero last normalisation of each block.
    assert backbone.trunk.layer1[0].bn2.weight.abs().max() == 0


def test_batch_statistics_are_of_one_modality():
    backbone = CrossModalityBackbone(R18, modality_specific='stem').train()
    x = images(6)
    x[3:] += 5
    backbone(x, torch.tensor([0, 0, 0, 1, 1, 1]))
    stem, bn = backbone.trunk.conv1, backbone.trunk.bn1
    for rows, copy in ((x[:3], 'visible'), (x[3:], 'infrared')):
        expected = getattr(stem, copy)(rows).mean((0, 2, 3))
        torch.testing.assert_close(
            getattr(bn, copy).running_mean, 0.1 * expected, atol=1e-6, rtol=1e-4)


def test_gradient_reaches_only_the_copy_of_the_row():
    backbone = CrossModalityBackbone(R18, modality_specific='stem').eval()
    last(backbone(images(2), torch.tensor([1, 1]))).sum().backward()
    assert backbone.trunk.conv1.visible.weight.grad is None
    assert backbone.trunk.conv1.infrared.weight.grad is not None


def test_shared_trunk_ignores_modality():
    backbone = CrossModalityBackbone(R18).eval()
    assert backbone.modality_specific == ()
    with torch.no_grad():
        a = last(backbone(images(), torch.tensor([0, 0, 1, 1])))
        b = last(backbone(images(), torch.tensor([1, 0, 1, 0])))
    assert torch.equal(a, b)


def test_last_stride_keeps_resolution():
    backbone = CrossModalityBackbone(R18)
    features = backbone(images(2, size=(288, 144)), torch.tensor([0, 1]))
    assert last(features).shape == (2, 512, 18, 9)


def test_unfamiliar_stem():
    trunk = nn.Sequential(nn.Conv2d(3, 4, 1))
    with pytest.raises(ValueError, match='stem of Sequential is not known.*modality_specific'):
        CrossModalityBackbone(trunk, modality_specific='stem')


def test_unknown_module():
    with pytest.raises(ValueError, match="names 'conv9', but ResNet.*it has conv1, bn1"):
        CrossModalityBackbone(R18, modality_specific=('conv1', 'conv9'))


def test_module_inside_another():
    with pytest.raises(ValueError, match='inside'):
        CrossModalityBackbone(R18, modality_specific=('layer1', 'layer1.0'))


def test_a_deep_module_can_be_specific():
    backbone = make_different(
        CrossModalityBackbone(R18, modality_specific=('layer1.0', 'layer2'))).eval()
    x = images()
    with torch.no_grad():
        mixed = last(backbone(x, torch.tensor([0, 1, 0, 1])))
        infrared = last(backbone(x, torch.ones(4, dtype=torch.long)))
    torch.testing.assert_close(mixed[1], infrared[1], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(mixed[0], infrared[0], atol=1e-4)


def test_unknown_modality():
    backbone = CrossModalityBackbone(R18, modality_specific='stem')
    with pytest.raises(ValueError, match=r'visible.*infrared.*modality \[2\]'):
        backbone(images(2), torch.tensor([0, 2]))


def test_wrong_number_of_rows():
    backbone = CrossModalityBackbone(R18, modality_specific='stem')
    with pytest.raises(RuntimeError, match='modality of 3 rows.*Conv2d got 2'):
        backbone(images(2), torch.tensor([0, 1, 0]))


@pytest.mark.filterwarnings('ignore:torch.utils.checkpoint')
def test_activation_checkpointing_keeps_the_route():
    trunk = {**R18, 'with_cp': True}
    torch.manual_seed(0)
    backbone = make_different(
        CrossModalityBackbone(trunk, modality_specific=('layer1.0.conv1', ))).eval()
    plain = CrossModalityBackbone(R18, modality_specific=('layer1.0.conv1', )).eval()
    plain.load_state_dict(backbone.state_dict())
    modality = torch.tensor([0, 1, 1, 0])
    for model in (backbone, plain):
        last(model(images(), modality)).square().sum().backward()
    for copy in ('visible', 'infrared'):
        torch.testing.assert_close(
            getattr(backbone.trunk.layer1[0].conv1, copy).weight.grad,
            getattr(plain.trunk.layer1[0].conv1, copy).weight.grad, atol=1e-4, rtol=1e-3)


def test_non_local_blocks_of_agw():
    trunk = {'type': 'mmpretrain.ResNet', 'depth': 50, 'base_channels': 8}
    backbone = CrossModalityBackbone(
        trunk, non_local={'blocks': (0, 2, 3, 0), 'inter_channels': 1})
    backbone.init_weights()
    assert [name for name, _ in backbone.trunk.layer2.named_children()] == [
        '0', '1', '2', 'non_local2', '3', 'non_local3']
    assert [name for name, _ in backbone.trunk.layer3.named_children()] == [
        '0', '1', '2', '3', 'non_local3', '4', 'non_local4', '5', 'non_local5']
    assert len(backbone.non_local) == 5
    for block in backbone.non_local:
        assert block.theta.conv.weight.shape[0] == 1
        assert block.conv_out.norm.weight.abs().max() == 0

    plain = CrossModalityBackbone(trunk).eval()
    missing = backbone.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert all('non_local' in key for key in missing)
    backbone.eval()
    with torch.no_grad():
        assert torch.equal(
            last(backbone(images(), torch.zeros(4))), last(plain(images(), torch.zeros(4))))


@pytest.mark.parametrize('init', ['built', 'init_weights', 'pretrained'])
@pytest.mark.parametrize('width', [1, 32])
def test_non_local_blocks_start_as_released(init, width, tmp_path):
    """Convolutions uniform within 1 / sqrt(fan in), as PyTorch draws them; BN zero."""
    trunk = {'type': 'mmpretrain.ResNet', 'depth': 18}
    init_cfg = None
    if init == 'pretrained':
        torch.save(CrossModalityBackbone(trunk).trunk.state_dict(), tmp_path / 'r18.pth')
        init_cfg = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'r18.pth')}
    torch.manual_seed(0)
    backbone = CrossModalityBackbone(
        trunk, init_cfg=init_cfg, non_local={'blocks': (0, 2, 2, 0), 'inter_channels': width})
    if init != 'built':
        with DefaultScope.overwrite_default_scope('mmvireid'):
            backbone.init_weights()
    for name in ('theta', 'phi', 'g', 'conv_out'):
        for stage, blocks in ((128, backbone.non_local[:2]), (256, backbone.non_local[2:])):
            convs = [getattr(block, name).conv for block in blocks]
            fan_in = width if name == 'conv_out' else stage
            weight = torch.cat([conv.weight.flatten() for conv in convs])
            assert weight.std().item() == pytest.approx((3 * fan_in)**-0.5, rel=0.15)
            assert weight.abs().max() <= fan_in**-0.5
            if name != 'conv_out':
                bias = torch.cat([conv.bias for conv in convs])
                assert 0 < bias.abs().max() <= fan_in**-0.5
    for block in backbone.non_local:
        assert block.conv_out.norm.weight.abs().max() == 0
        assert block.conv_out.norm.bias.abs().max() == 0
        x = torch.randn(2, block.in_channels, 4, 2)
        assert torch.equal(block.train()(x), x)


def test_non_local_block_equals_loop():
    """x + BN(W(sum_j theta_i phi_j g_j / P)): a dot product over the number of positions."""
    backbone = CrossModalityBackbone(
        {'type': 'mmpretrain.ResNet', 'depth': 18, 'base_channels': 4, 'stem_channels': 4},
        non_local={'blocks': (0, 1, 0, 0), 'inter_channels': 2})
    block = backbone.non_local[0].double().eval()
    nn.init.normal_(block.conv_out.norm.weight)
    x = torch.randn(1, 8, 3, 2, dtype=torch.float64)
    with torch.no_grad():
        theta, phi, g = (layer(x)[0].flatten(1).T for layer in (block.theta, block.phi, block.g))
        y = torch.zeros(6, 2, dtype=torch.float64)
        for i in range(6):
            for j in range(6):
                y[i] += (theta[i] @ phi[j]) / 6 * g[j]
        expected = x + block.conv_out(y.T.reshape(1, 2, 3, 2))
        torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(('blocks', 'message'), [
    ((0, 3, 0, 0), '3 non-local blocks in layer2, which has 2'),
    ((0, 1), 'each of the 4 stages'),
])
def test_non_local_blocks_that_do_not_fit(blocks, message):
    with pytest.raises(ValueError, match=message):
        CrossModalityBackbone(R18, non_local={'blocks': blocks, 'inter_channels': 1})


def test_non_local_needs_a_resnet():
    with pytest.raises(ValueError, match='ResNet, not of a MobileNetV2'):
        CrossModalityBackbone(
            {'type': 'mmpretrain.MobileNetV2'}, non_local={'blocks': (1, ), 'inter_channels': 1})
