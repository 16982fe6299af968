"""Pooling and BNNeck."""

import pytest
import torch

from mmvireid.models import BNNeck, GeneralizedMeanPooling
from mmvireid.registry import MODELS


def test_generalized_mean_equals_loop():
    x = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    out = GeneralizedMeanPooling(p=3)(x)
    for n in range(2):
        for c in range(3):
            cubes = [float(v)**3 for v in x[n, c].flatten()]
            expected = (sum(cubes) / 20 + 1e-12)**(1 / 3)
            assert out[n, c].item() == pytest.approx(expected, rel=1e-12)


def test_generalized_mean_of_a_silent_channel():
    x = torch.zeros(1, 2, 3, 3, requires_grad=True)
    out = GeneralizedMeanPooling()(x)
    assert out[0].tolist() == pytest.approx([1e-4, 1e-4])
    out.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_generalized_mean_of_negative_activations_is_finite():
    x = -torch.rand(2, 3, 4, 4)
    assert torch.isfinite(GeneralizedMeanPooling()(x)).all()


def test_generalized_mean_keeps_tuples_and_widens_half_precision():
    # 60 ** 3 is beyond the largest float16.
    maps = (torch.full((1, 2, 2, 2), 60.0, dtype=torch.float16), torch.ones(1, 1, 2, 2))
    first, second = GeneralizedMeanPooling()(maps)
    torch.testing.assert_close(first, torch.full((1, 2), 60.0))
    torch.testing.assert_close(second, torch.ones(1, 1))


def test_large_exponent_approaches_the_maximum():
    x = torch.rand(3, 4, 5, 5, dtype=torch.float64)
    pooled = GeneralizedMeanPooling(p=200, eps=0)(x)
    # Between maximum / 25 ** (1 / p), when all others are zero, and the maximum.
    assert (pooled <= x.amax((2, 3))).all()
    assert (pooled >= x.amax((2, 3)) * 25**(-1 / 200)).all()


def test_bnneck():
    torch.manual_seed(0)
    neck = BNNeck(2000)
    assert neck.weight.mean().item() == pytest.approx(1, abs=1e-3)
    assert neck.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not neck.bias.requires_grad
    assert neck.bias.abs().max() == 0
    out = neck(torch.randn(16, 2000) * 3 + 5)
    assert out.mean(0).abs().max() < 1e-5


def test_registered():
    assert isinstance(
        MODELS.build({'type': 'mmvireid.GeneralizedMeanPooling'}), GeneralizedMeanPooling)
    assert isinstance(MODELS.build({'type': 'mmvireid.BNNeck', 'in_channels': 4}), BNNeck)
