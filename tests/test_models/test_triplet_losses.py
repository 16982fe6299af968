"""Triplet losses of AGW and CAJ against loops, and their traps."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.metric_losses import naive_triplet, naive_weighted_triplet

from mmvireid.models import TripletLoss, WeightedRegularizedTripletLoss
from mmvireid.models.losses import weighted_regularized_triplet

LOSSES = {
    'hard': (TripletLoss, {}, naive_triplet, {}),
    'wrt': (WeightedRegularizedTripletLoss, {}, naive_weighted_triplet, {}),
    'adp_square0': (WeightedRegularizedTripletLoss, {'squared': False}, naive_weighted_triplet,
                    {'squared': False}),
    'adp_square1': (WeightedRegularizedTripletLoss, {'squared': True}, naive_weighted_triplet,
                    {'squared': True}),
}


def random_batch(seed, num_ids=4, per_id=4, dim=8, scale=1.0):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.standard_normal((num_ids * per_id, dim)) * scale)
    return x, torch.from_numpy(np.repeat(rng.choice(100, num_ids, replace=False), per_id))


def loss_and_grad(function, x, *arguments):
    x = x.detach().clone().requires_grad_()
    loss = function(x, *arguments)
    grad, = torch.autograd.grad(loss, x)
    return loss.detach(), grad


@pytest.mark.parametrize('name', LOSSES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), num_ids=st.integers(2, 5), per_id=st.integers(1, 4),
       scale=st.sampled_from([0.3, 1.0, 3.0]))
def test_equals_loop(name, seed, num_ids, per_id, scale):
    build, options, naive, naive_options = LOSSES[name]
    x, ids = random_batch(seed, num_ids, per_id, scale=scale)
    loss, grad = loss_and_grad(build(**options), x, ids)
    expected, expected_grad = loss_and_grad(lambda v: naive(v, ids, **naive_options), x)
    torch.testing.assert_close(loss, expected, atol=1e-8, rtol=1e-7)
    torch.testing.assert_close(grad, expected_grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(name, dtype):
    build, options, naive, naive_options = LOSSES[name]
    x, ids = random_batch(3)
    x = x.to(dtype)
    loss, grad = loss_and_grad(build(**options), x, ids)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert grad.dtype == dtype
    assert torch.isfinite(grad).all()
    expected = naive(x, ids, **naive_options)
    torch.testing.assert_close(loss.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', LOSSES)
def test_autocast_computes_in_full_precision(name):
    build, options, _, _ = LOSSES[name]
    x, ids = random_batch(4)
    x = x.float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = build(**options)(x, ids)
    torch.testing.assert_close(inside, build(**options)(x, ids), rtol=0, atol=0)


@pytest.mark.parametrize('name', LOSSES)
def test_one_identity_is_finite(name):
    build, options, _, _ = LOSSES[name]
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    loss, grad = loss_and_grad(build(**options), x, torch.zeros(4, dtype=torch.long))
    assert torch.isfinite(loss)
    assert torch.isfinite(grad).all()


def test_margin_and_weight():
    x = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    ids = torch.tensor([0, 0, 1, 1])
    # Farthest match at distance 1; nearest other at 10, 9, 9, 10.
    assert TripletLoss(margin=9.0)(x, ids).item() == pytest.approx((0 + 1 + 1 + 0) / 4)
    assert TripletLoss(margin=9.0, loss_weight=2.0)(x, ids).item() == pytest.approx(1.0)


def far_apart(gap):
    """Two identities, each a point, at distance ``gap``: the mean to positives is zero."""
    return torch.tensor([[0.0], [0.0], [gap], [gap]], requires_grad=True)


def warnings_in(run_log):
    return [record.getMessage() for record in run_log if record.levelno == logging.WARNING]


def test_squared_loss_warns_once_when_dead(run_log):
    # Farther positives than negatives: the ids are swapped between the two points.
    x = torch.tensor([[0.0], [30.0], [0.0], [30.0]], requires_grad=True)
    ids = torch.tensor([0, 0, 1, 1])
    loss = WeightedRegularizedTripletLoss(squared=True, check_interval=1)
    value = loss(x, ids)
    line, = warnings_in(run_log)
    assert line.startswith('100% of the anchors')
    assert 'above 9.38' in line
    value.backward()
    assert value.item() == pytest.approx(88, abs=1e-4)
    assert x.grad.abs().max() == 0
    assert loss.dead_fraction == 1
    loss(x, ids)
    assert len(warnings_in(run_log)) == 1


def test_only_the_main_process_warns(run_log, monkeypatch):
    monkeypatch.setattr(weighted_regularized_triplet, 'is_main_process', lambda: False)
    loss = WeightedRegularizedTripletLoss(squared=True, check_interval=1)
    loss(torch.tensor([[0.0], [30.0], [0.0], [30.0]]), torch.tensor([0, 0, 1, 1]))
    assert loss.dead_fraction == 1
    assert not warnings_in(run_log)


def test_squared_loss_does_not_warn_when_alive(run_log):
    loss = WeightedRegularizedTripletLoss(squared=True, check_interval=1)
    loss(far_apart(3.0), torch.tensor([0, 0, 1, 1]))
    assert loss.dead_fraction == 0
    assert not warnings_in(run_log)


def test_squared_loss_looks_only_now_and_then(run_log):
    loss = WeightedRegularizedTripletLoss(squared=True, check_interval=3)
    ids = torch.tensor([0, 0, 1, 1])
    dead = torch.tensor([[0.0], [30.0], [0.0], [30.0]])
    loss(far_apart(1.0), ids)
    loss(dead, ids)
    loss(dead, ids)
    assert not warnings_in(run_log)
    loss(dead, ids)
    assert len(warnings_in(run_log)) == 1
