"""HeteroCenterClusterLoss against loops and cases by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.metric_losses import naive_hetero_center_cluster

from mmvireid.models import HeteroCenterClusterLoss


def loss_and_grad(function, x, *arguments):
    x = x.detach().clone().requires_grad_()
    loss = function(x, *arguments)
    grad, = torch.autograd.grad(loss, x)
    return loss.detach(), grad


def random_batch(seed, num_ids=3, dim=6, scale=1.0):
    """Identities in uneven numbers and any order, each in both modalities."""
    rng = np.random.default_rng(seed)
    ids, modality = [], []
    for identity in rng.choice(50, num_ids, replace=False):
        for m in (0, 1):
            number = rng.integers(1, 4)
            ids += [identity] * number
            modality += [m] * number
    order = rng.permutation(len(ids))
    x = torch.from_numpy(rng.standard_normal((len(ids), dim)) * scale)
    return x, torch.tensor(ids)[order], torch.tensor(modality)[order]


@pytest.mark.parametrize('distance', ['euclidean', 'kl'])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), num_ids=st.integers(2, 4),
       scale=st.sampled_from([0.05, 0.3, 2.0]))
def test_equals_loop(distance, seed, num_ids, scale):
    x, ids, modality = random_batch(seed, num_ids, scale=scale)
    loss, grad = loss_and_grad(HeteroCenterClusterLoss(distance), x, ids, modality)
    expected, expected_grad = loss_and_grad(
        lambda v: naive_hetero_center_cluster(v, ids, modality, distance), x)
    torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-7)
    # A single image is its own centre: its distance is sqrt(1e-12), whose sign of rounding
    # must not matter.
    torch.testing.assert_close(grad, expected_grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize('distance', ['euclidean', 'kl'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(distance, dtype):
    x, ids, modality = random_batch(1)
    x = x.to(dtype)
    loss, grad = loss_and_grad(HeteroCenterClusterLoss(distance), x, ids, modality)
    assert grad.dtype == dtype
    assert torch.isfinite(grad).all()
    expected = naive_hetero_center_cluster(x, ids, modality, distance)
    torch.testing.assert_close(loss.double(), expected, atol=1e-5, rtol=1e-5)


def test_by_hand():
    # Two identities on a line, one image each per modality: centres are the images.
    x = torch.tensor([[0.0], [1.0], [0.2], [1.5]])
    ids, modality = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    # Pull: 0.2, 0.5, 0.2, 0.5. Push, margin 1: each image to the other identity's centres:
    # (1, 1.5), (1, 0.8), (0.8, 1.3), (1.5, 1.3): two hinges of 0.2 among eight.
    loss = HeteroCenterClusterLoss('euclidean', margin=1.0)(x, ids, modality)
    assert loss.item() == pytest.approx(0.35 + 0.4 / 8, abs=1e-6)


def test_identity_in_one_modality_is_only_pushed():
    x, ids, modality = random_batch(2, num_ids=3, scale=0.1)
    lonely = ids == ids[0]
    keep = ~(lonely & (modality == 1))
    x, ids, modality = x[keep], ids[keep], modality[keep]
    loss = HeteroCenterClusterLoss('euclidean')(x, ids, modality)
    expected = naive_hetero_center_cluster(x, ids, modality, 'euclidean')
    torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize('distance', ['euclidean', 'kl'])
def test_one_modality_and_one_identity_is_zero(distance):
    x = torch.rand(3, 5)
    zeros = torch.zeros(3, dtype=torch.long)
    loss, grad = loss_and_grad(HeteroCenterClusterLoss(distance), x, zeros, zeros)
    assert loss == 0
    assert torch.equal(grad, torch.zeros_like(x))


@pytest.mark.parametrize('distance', ['euclidean', 'kl'])
def test_autocast_computes_in_full_precision(distance):
    x, ids, modality = random_batch(5)
    x = x.float() * 20
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = HeteroCenterClusterLoss(distance)(x, ids, modality)
    torch.testing.assert_close(
        inside, HeteroCenterClusterLoss(distance)(x, ids, modality), rtol=0, atol=0)


def test_unknown_distance():
    with pytest.raises(ValueError, match='cosine'):
        HeteroCenterClusterLoss('cosine')
