"""Multi-stage feature aggregation, by itself and in the stages of a ResNet."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import DefaultScope
from reference.deen import below, naive_channel_attention, naive_pixel_attention
from torch import nn

from mmvireid.models import CrossModalityBackbone, MultiStageFeatureAggregation
from mmvireid.utils.errors import InputError

R18 = {'type': 'mmpretrain.ResNet', 'depth': 18, 'strides': (1, 2, 2, 1), 'stem_channels': 8,
       'base_channels': 8}


def awake(block, seed=0):
    """Give the normalisations weights and statistics, as training does."""
    generator = torch.Generator().manual_seed(seed)
    for part in (block.channel.bn, block.pixel.bn):
        nn.init.normal_(part.weight, generator=generator)
        nn.init.normal_(part.running_mean, generator=generator)
    return block.eval()


def maps(high=8, low=4, size=(4, 3), stride=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(2, high, *size, generator=generator, dtype=torch.float64),
            torch.randn(2, low, size[0] * stride, size[1] * stride, generator=generator,
                        dtype=torch.float64))


@pytest.mark.parametrize('fold', [True, False])
@pytest.mark.parametrize('stride', [1, 2])
def test_changes_nothing_at_the_start(fold, stride):
    high, low = maps(stride=stride)
    block = MultiStageFeatureAggregation(8, 4, stride, fold).double()
    assert torch.equal(block.train()(high, low), high)
    assert torch.equal(block.eval()(high, low), high)


@pytest.mark.parametrize('fold', [True, False])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6), stride=st.integers(1, 2), low=st.sampled_from([4, 12]))
def test_equals_loops(fold, seed, stride, low):
    """With few and with many channels, for which the products are formed in another order."""
    high, low = maps(6, low, (2, 3), stride, seed)
    block = MultiStageFeatureAggregation(6, low.shape[1], stride, fold).double()
    awake(block, seed)
    p = {name.replace('.', '_'): value for name, value in block.state_dict().items()}
    with torch.no_grad():
        between = high + block.channel.bn(
            naive_channel_attention(high, low, below(p, 'channel_'), stride))
        expected = between + block.pixel.bn(
            naive_pixel_attention(between, low, below(p, 'pixel_'), fold))
        torch.testing.assert_close(block(high, low), expected)


def permuted(x, order):
    return x.flatten(2)[:, :, order].view(x.shape)


def test_folded_halves_are_exchangeable():
    """What the upper half is given, the lower half gives, and the reverse."""
    high, low = maps(size=(4, 4))
    block = awake(MultiStageFeatureAggregation(8, 4).double())
    halves = torch.arange(16).roll(8)
    out = block(high, low)
    torch.testing.assert_close(
        block(permuted(high, halves), permuted(low, halves)), permuted(out, halves))
    # The same change at position p of every map, or at p + n / 2, of halves that were alike.
    high[:, :, 2:], low[:, :, 2:] = high[:, :, :2], low[:, :, :2]
    changed = [[x.clone() for x in (high, low)] for _ in range(2)]
    for row, pair in zip((0, 2), changed):
        for x in pair:
            x[:, :, row, 1] += 3
    upper, lower = (block(*pair) for pair in changed)
    torch.testing.assert_close(permuted(upper, halves), lower)
    assert not torch.allclose(upper, lower)


def test_unfolded_positions_are_exchangeable_one_by_one():
    high, low = maps(size=(4, 4))
    order = torch.from_numpy(np.random.default_rng(0).permutation(16))
    for fold in (False, True):
        block = awake(MultiStageFeatureAggregation(8, 4, fold_positions=fold).double())
        moved = block(permuted(high, order), permuted(low, order))
        # Folded, a position has a partner, which an order of any kind takes away from it.
        assert torch.allclose(moved, permuted(block(high, low), order)) is not fold


def test_odd_maps():
    high, low = maps(size=(5, 3))
    block = MultiStageFeatureAggregation(8, 4).double()
    with pytest.raises(InputError, match=r'5 x 3 positions, an odd number.*fold_positions=False'):
        block(high, low)
    with pytest.raises(InputError, match='3 x 5 positions'):  # the low map has to fold too
        MultiStageFeatureAggregation(8, 4, stride=2)(
            torch.rand(2, 8, 2, 3), torch.rand(2, 4, 3, 5))
    block = MultiStageFeatureAggregation(8, 4, fold_positions=False).double()
    assert block(high, low).shape == high.shape


def test_sums_over_positions_stay_finite_in_half_precision():
    high, low = (100 * x.float() for x in maps(size=(16, 16)))
    block, largest = awake(MultiStageFeatureAggregation(8, 4)).train(), []
    for part in (block.channel.proj, block.pixel.proj):
        part.register_forward_hook(lambda _, inputs, out: largest.append(out.abs().max()))
    with torch.no_grad():
        exact = block(high, low)
        with torch.autocast('cpu', torch.float16):  # of which 65504 is the largest number
            out = block(high, low)
    assert min(largest) > 65504
    assert exact.abs().max() < 1000
    torch.testing.assert_close(out, exact, rtol=0.02, atol=2)


def test_memory_format_does_not_matter():
    pair, block = maps(), awake(MultiStageFeatureAggregation(8, 4).double())
    channels_last = [x.contiguous(memory_format=torch.channels_last) for x in pair]
    torch.testing.assert_close(block(*channels_last), block(*pair))


@pytest.fixture(scope='module')
def plain():
    torch.manual_seed(0)
    return CrossModalityBackbone(R18).eval()


def images(size=(64, 32)):
    return torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(0))


def last(backbone, x):
    with torch.no_grad():
        return backbone(x, torch.tensor([0, 0, 1, 1]))[-1]


DEEN = {'aggregation': {'stages': (0, 1, 2)}, 'expansion': {'after_stage': 2}}


def test_stages_end_with_it(plain):
    """It sees output and input of its stage; weights of a plain trunk load as they are."""
    backbone = CrossModalityBackbone(R18, aggregation={'stages': (0, 1, 2)}).eval()
    missing = backbone.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert {name.split('.')[1:3] == [f'layer{stage}', 'aggregation'] for name in missing
            for stage in name.split('.')[1][-1]} == {True}
    assert torch.equal(last(backbone, images()), last(plain, images()))

    seen = {}
    for i, block in enumerate(backbone.extensions):
        awake(block)
        block.register_forward_hook(
            lambda _, inputs, out, i=i: seen.update({i: (*inputs, out)}))
    out = last(backbone, images())
    for i, sizes in enumerate([(8, 8), (16, 8), (32, 16)]):
        high, low, result = seen[i]
        assert (high.shape[1], low.shape[1]) == sizes
        assert low.shape[2] == high.shape[2] * (1 if i == 0 else 2)
        assert not torch.equal(result, high)
    for i in (1, 2):  # the next stage goes on from what it gives
        assert torch.equal(seen[i][1], seen[i - 1][2])
    assert not torch.equal(out, last(plain, images()))


@pytest.mark.parametrize('pretrained', [True, False])
def test_drawn_anew_when_the_trunk_is_initialised(plain, pretrained, tmp_path):
    init_cfg = None
    if pretrained:
        torch.save(plain.trunk.state_dict(), tmp_path / 'r18.pth')
        init_cfg = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'r18.pth')}
    torch.manual_seed(0)
    backbone = CrossModalityBackbone(R18, modality_specific='stem', init_cfg=init_cfg, **DEEN)
    with DefaultScope.overwrite_default_scope('mmvireid'):
        backbone.init_weights()
    aggregation, expansion = backbone.extensions[2], backbone.extensions[3]
    assert list(backbone.trunk.layer3._modules) == ['0', '1', 'aggregation', 'expansion']
    for part in (aggregation.channel, aggregation.pixel):
        assert not part.bn.weight.any()
        assert not part.bn.bias.any()
    # PyTorch's own scheme: uniform within 1 / sqrt(fan in), and so are the biases.
    theta = aggregation.channel.theta
    assert 0.9 * 32**-0.5 < theta.weight.abs().max() <= 32**-0.5
    assert 0 < theta.bias.abs().max() <= 32**-0.5
    # Kaiming, fan-in: 32 channels of 3 x 3 pixels.
    std = torch.cat([p.flatten() for name, p in expansion.named_parameters()
                     if 'dilation' in name]).std()
    assert std.item() == pytest.approx((2 / 288)**0.5, rel=0.05)


def test_what_follows_the_expansion_sees_three_times_the_rows(plain):
    backbone = CrossModalityBackbone(R18, modality_specific='stem', **DEEN).eval()
    backbone.load_state_dict(plain.state_dict(), strict=False)
    out = last(backbone, images())
    assert len(out) == 12
    torch.testing.assert_close(out[:4], last(plain, images()))


def test_the_shorter_network(plain):
    """DEEN's for RegDB: expansion before the third stage, and no fourth."""
    short = {**R18, 'num_stages': 3, 'strides': (1, 2, 2), 'dilations': (1, 1, 1),
             'out_indices': (2, )}
    backbone = CrossModalityBackbone(
        short, aggregation={'stages': (0, 1)}, expansion={'after_stage': 1}).eval()
    assert not hasattr(backbone.trunk, 'layer4')
    backbone.load_state_dict(
        {name: value for name, value in plain.state_dict().items() if 'layer4' not in name},
        strict=False)
    assert list(backbone.trunk.layer2._modules) == ['0', '1', 'aggregation', 'expansion']
    assert last(backbone, images()).shape == (12, 32, 4, 2)


def test_an_image_size_that_does_not_fold(plain):
    backbone = CrossModalityBackbone(R18, **DEEN)
    with pytest.raises(InputError, match='map of 9 x 5 positions'):
        last(backbone, images((72, 36)))
