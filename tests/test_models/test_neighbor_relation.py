"""NeighborRelationLoss against a loop, and the promises of its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.cluster_memory import loss_and_grad
from reference.rpnr import naive_neighbor_relation

from mmvireid.models import NeighborRelationLoss


def rows(seed, num=7, dim=4, scale=1.0):
    return scale * torch.from_numpy(np.random.default_rng(seed).standard_normal((num, dim)))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), num=st.integers(2, 7),
       scale=st.sampled_from([0.05, 0.5, 30.0]), normalize=st.booleans(),
       sigma=st.sampled_from([0.3, 1.0]), delta=st.sampled_from([0.8, 1.0, 1.5]))
def test_equals_loop(seed, num, scale, normalize, sigma, delta):
    x = rows(seed, num, scale=scale)

    def naive(v):
        return naive_neighbor_relation(
            v / v.norm(dim=1, keepdim=True) if normalize else v, sigma, delta)

    loss, grad = loss_and_grad(NeighborRelationLoss(sigma, delta, normalize), x)
    expected, expected_grad = loss_and_grad(naive, x)
    assert loss >= 0
    torch.testing.assert_close(loss, expected, atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(grad, expected_grad, atol=1e-12, rtol=1e-9)
    # The order of the images makes no difference.
    order = torch.from_numpy(np.random.default_rng(seed).permutation(num))
    again, grad_again = loss_and_grad(NeighborRelationLoss(sigma, delta, normalize), x[order])
    torch.testing.assert_close(again, loss)
    torch.testing.assert_close(grad_again, grad[order])


@pytest.mark.parametrize('normalize', [False, True])
def test_equal_features_have_no_loss_and_no_gradient(normalize):
    x = torch.ones(5, 3)
    for batch in (x, 0 * x, x[:1], x[:0]):
        loss, grad = loss_and_grad(NeighborRelationLoss(normalize=normalize), batch)
        assert loss == 0
        assert not grad.any()
    # Some are equal, as where an image is drawn twice.
    loss, grad = loss_and_grad(
        NeighborRelationLoss(normalize=normalize), torch.cat([x, rows(0, 3, 3).float()]))
    assert torch.isfinite(loss)
    assert torch.isfinite(grad).all()


def test_raw_features_of_a_batch_norm_are_pushed_alone():
    """Their weights underflow; on the unit sphere the pull is alive."""
    x = rows(0, 20, 128, scale=3)
    loss, _ = loss_and_grad(NeighborRelationLoss(), x)
    pushed, _ = loss_and_grad(NeighborRelationLoss(sigma=1e-6), x)
    assert loss == pushed
    for scale in (1, 10):
        unit = NeighborRelationLoss(normalize=True)(scale * x)
        torch.testing.assert_close(unit, NeighborRelationLoss(normalize=True)(x))
    assert unit > 5 * loss
    # Without normalising, the scale of the features decides what is near.
    assert NeighborRelationLoss()(0.01 * x) > 5 * loss


def test_weights_carry_no_gradient():
    """Two images at a distance d: s is 2, so the loss is 4 w, and nothing pulls them."""
    x = torch.tensor([[0.0], [0.5]], dtype=torch.float64)
    loss, grad = loss_and_grad(NeighborRelationLoss(), x)
    torch.testing.assert_close(loss, 4 * torch.tensor(-0.25, dtype=torch.float64).exp())
    torch.testing.assert_close(grad, torch.zeros_like(grad))


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(dtype):
    x = rows(3).to(dtype)
    loss, grad = loss_and_grad(NeighborRelationLoss(loss_weight=2), x)
    assert grad.dtype == dtype
    assert torch.isfinite(grad).all()
    torch.testing.assert_close(
        loss.double(), 2 * naive_neighbor_relation(x.double()), atol=1e-5, rtol=1e-5)


def test_sigma_of_zero_is_refused():
    with pytest.raises(ValueError, match='sigma must be positive, got 0'):
        NeighborRelationLoss(sigma=0)
