"""Patterns of MPANet: pooling by each, and their separation."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.mpanet import naive_patterns, naive_separation
from torch import nn

from mmvireid.models import PatternAlignment, pattern_separation
from mmvireid.utils.errors import ConfigError


def neck_and_map(seed=0, num_patterns=3, dim=4):
    torch.manual_seed(seed)
    return PatternAlignment(dim, num_patterns), torch.randn(2, dim, 3, 2)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_features_equal_the_loop(seed):
    neck, x = neck_and_map(seed)
    maps, pooled = naive_patterns(x, neck.attention.weight, neck.attention.bias)
    torch.testing.assert_close(neck.pattern_maps(x).double(), maps, atol=1e-5, rtol=0)
    torch.testing.assert_close(neck(x).double(), pooled, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        neck.auxiliary_losses()['loss_separation'].double(), 0.5 * naive_separation(maps),
        atol=1e-5, rtol=0)


def test_patterns_that_see_everything_are_the_whole():
    neck, x = neck_and_map()
    nn.init.zeros_(neck.attention.weight)
    nn.init.constant_(neck.attention.bias, 1e3)
    patterns = neck(x).unflatten(1, (4, -1))
    torch.testing.assert_close(patterns, x.mean((2, 3))[:, None].expand_as(patterns))


def test_width_of_the_release():
    neck = PatternAlignment(2048)
    assert neck(torch.rand(1, 2048, 3, 2)).shape == (1, 14336)
    assert not neck.attention.bias.any()


def test_patterns_that_do_not_meet_are_separated():
    maps = torch.zeros(2, 3, 4, 2)
    for k in range(3):
        maps[:, k, k] = torch.rand(2, 2)
    assert pattern_separation(maps) == 0
    assert pattern_separation(maps[:, :1] + 1) == 0  # a single one meets nobody


def test_more_patterns_than_positions():
    neck, x = neck_and_map(num_patterns=7)
    with pytest.raises(ConfigError, match='num_patterns is 7, but a map of 3 x 2 positions has '
                                          'room for 6 patterns'):
        neck(x)
    with pytest.raises(ConfigError, match='at least 1, got 0'):
        PatternAlignment(4, 0)


def test_separation_is_of_training_alone_and_counted_once():
    neck, x = neck_and_map()
    neck(x)
    assert neck.auxiliary_losses()
    assert not neck.auxiliary_losses()
    neck(x)
    neck.eval()(x)
    assert not neck.auxiliary_losses()
    copy.deepcopy(neck)  # nothing of the graph of a batch is left in it
    neck, x = PatternAlignment(4, 3, separation_weight=0), x
    neck(x)
    assert not neck.auxiliary_losses()


def test_half_precision():
    neck, x = neck_and_map()
    with torch.autocast('cpu', torch.bfloat16):
        neck(100 * x)
        assert neck.auxiliary_losses()['loss_separation'].dtype == torch.float32
