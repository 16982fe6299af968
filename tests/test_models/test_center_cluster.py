"""The centre cluster loss of MPANet beside a loop."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.mpanet import naive_center_cluster

from mmvireid.models import CenterClusterLoss

SEEDS = st.integers(0, 10000)


def batch(seed, num_ids=4, rows=11, scale=0.4):
    """Identities of different numbers of images, in any order; one may have a single image."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(num_ids, (rows, ), generator=generator) * 7
    x = scale * torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    return x.requires_grad_(), ids


def gradient_of(loss, x):
    return torch.autograd.grad(loss, x)[0]


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_loss_equals_the_loop(seed):
    x, ids = batch(seed)
    center_cluster = CenterClusterLoss(loss_weight=3.0)
    loss = center_cluster(x, ids)
    pull, push = naive_center_cluster(x, ids)
    torch.testing.assert_close(loss, 3 * (pull + push))
    torch.testing.assert_close((center_cluster.pull, center_cluster.push), (pull, push))
    torch.testing.assert_close(
        gradient_of(loss, x), gradient_of(3 * (pull + push), x), atol=1e-8, rtol=1e-6)


@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_the_order_of_rows_and_the_names_of_people_do_not_matter(seed):
    x, ids = batch(seed)
    loss = CenterClusterLoss()(x, ids)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(CenterClusterLoss()(x[order], 100 - ids[order]), loss)


def test_one_image_each_has_finite_gradients():
    x, _ = batch(0)
    loss = CenterClusterLoss()(x, torch.arange(len(x)))
    assert gradient_of(loss, x).isfinite().all()
    same = torch.ones(3, 5, requires_grad=True)
    assert gradient_of(CenterClusterLoss()(same, torch.tensor([0, 0, 1])), same).isfinite().all()


def test_one_identity_is_only_pulled():
    x, ids = batch(1)
    center_cluster = CenterClusterLoss()
    loss = center_cluster(x, torch.zeros_like(ids))
    assert center_cluster.push == 0
    assert loss.item() == center_cluster.pull > 0


def test_half_precision_is_widened():
    x = 40 + torch.randn(6, 2048)
    ids = torch.tensor([0, 0, 1, 1, 2, 2])
    exact = CenterClusterLoss()(x.half().double(), ids)
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(
            CenterClusterLoss()(x.half(), ids).double(), exact, atol=0, rtol=1e-3)
