"""Modality alleviation, and modules behind the stages of a ResNet."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmvireid.models import CrossModalityBackbone, ModalityAlleviation
from mmvireid.utils.errors import ConfigError

R18 = {'type': 'mmpretrain.ResNet', 'depth': 18, 'strides': (1, 2, 2, 1), 'stem_channels': 8,
       'base_channels': 8}
BEHIND = {'after_stages': (2, 3), 'reduction': 4}


def images():
    return torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def maps_of(backbone):
    with torch.no_grad():
        return backbone(images(), torch.tensor([0, 0, 1, 1]))[-1]


def gate(alleviation, logit):
    """Give the gate the same logit everywhere, for maps of positive mean."""
    nn.init.constant_(alleviation.reduce.weight, 1.0)
    nn.init.constant_(alleviation.expand.weight, logit)


def test_an_open_gate_changes_nothing():
    alleviation, x = ModalityAlleviation(8, 4), torch.rand(3, 8, 5, 2)
    gate(alleviation, 1e4)
    assert torch.equal(alleviation(x), x)


def test_a_closed_gate_is_instance_normalisation():
    alleviation, x = ModalityAlleviation(8, 4), torch.rand(3, 8, 5, 2)
    gate(alleviation, -1e4)
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    torch.testing.assert_close(
        alleviation(x), (x - mean) / (variance + 1e-5).sqrt(), atol=1e-5, rtol=0)


def test_each_image_is_alleviated_by_itself():
    """In training as in testing: there are no statistics of the batch."""
    alleviation, x = ModalityAlleviation(8, 4), torch.randn(3, 8, 5, 2)
    whole = alleviation(x)
    torch.testing.assert_close(whole, torch.cat([alleviation(image[None]) for image in x]))
    torch.testing.assert_close(whole, alleviation.eval()(x))
    assert not list(alleviation.buffers())


def test_half_precision_stays_finite():
    alleviation = ModalityAlleviation(8, 4)
    with torch.autocast('cpu', torch.bfloat16):
        assert alleviation(300 * torch.rand(2, 8, 5, 2)).isfinite().all()


@pytest.mark.parametrize('reduction', [0, 9])
def test_a_gate_without_channels(reduction):
    with pytest.raises(ConfigError, match=f'between 1 and the 8 channels.*got {reduction}'):
        ModalityAlleviation(8, reduction)


@pytest.fixture(scope='module')
def plain():
    torch.manual_seed(0)
    return CrossModalityBackbone(R18).eval()


def test_it_stands_behind_its_stages(plain):
    backbone = CrossModalityBackbone(R18, alleviation=BEHIND).eval()
    assert {name.rpartition('.')[0] for name, _ in backbone.named_parameters()
            if 'alleviation' in name} == {
        f'trunk.layer{stage}.alleviation.{conv}' for stage in (3, 4)
        for conv in ('reduce', 'expand')}
    backbone.load_state_dict(plain.state_dict(), strict=False)
    for module, channels in zip(backbone.extensions, (32, 64)):
        assert module.reduce.weight.shape == (channels // 4, channels, 1, 1)
        gate(module, 1e4)
    assert torch.equal(maps_of(backbone), maps_of(plain))
    for module in backbone.extensions:
        gate(module, -1e4)
    assert maps_of(backbone).mean((2, 3)).abs().max() < 1e-4


def test_weights_of_a_plain_trunk_load(plain, tmp_path):
    torch.save(plain.trunk.state_dict(), tmp_path / 'r18.pth')
    backbone = CrossModalityBackbone(
        R18, alleviation=BEHIND, modality_specific='stem',
        non_local={'blocks': (0, 0, 1, 1), 'inter_channels': 1},
        init_cfg={'type': 'Pretrained', 'checkpoint': str(tmp_path / 'r18.pth')})
    with DefaultScope.overwrite_default_scope('mmvireid'):
        backbone.init_weights()
    assert torch.equal(backbone.trunk.layer4[1].conv2.weight, plain.trunk.layer4[1].conv2.weight)
    assert [name for name, _ in backbone.trunk.layer4.named_children()] == [
        '0', '1', 'non_local1', 'alleviation']
    # Kaiming, fan-out: 16 channels leave the first convolution and 64 the second.
    alleviation = backbone.extensions[1]
    assert alleviation.reduce.weight.std().item() == pytest.approx((2 / 16)**0.5, rel=0.1)
    assert alleviation.expand.weight.std().item() == pytest.approx((2 / 64)**0.5, rel=0.1)


def test_a_copy_of_the_network_has_modules_of_its_own():
    """As averages of weights over the steps need it."""
    backbone = CrossModalityBackbone(R18, alleviation=BEHIND).eval()
    double = copy.deepcopy(backbone)
    before = maps_of(double)
    for module in backbone.extensions:
        gate(module, -1e4)
    assert torch.equal(maps_of(double), before)
    assert double.extensions[0] is double.trunk.layer3.alleviation


@pytest.mark.parametrize(('trunk', 'stages', 'specific', 'message'), [
    (R18, (3, 4), (), 'behind stage 4, but the stages of the trunk are 0 to 3'),
    ({'type': 'mmpretrain.MobileNetV2', 'widen_factor': 0.5}, (0, ), (),
     'stages of a ResNet, not of a MobileNetV2'),
    (R18, (3, ), ('layer4', ), 'behind layer4, of which each modality has a copy'),
])
def test_stages_that_are_not_there(trunk, stages, specific, message):
    with pytest.raises(ConfigError, match=message):
        CrossModalityBackbone(
            trunk, modality_specific=specific, alleviation={'after_stages': stages})
