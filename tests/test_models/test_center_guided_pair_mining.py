"""CenterGuidedPairMiningLoss against loops and cases by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.deen import naive_pair_mining

from mmvireid.models import CenterGuidedPairMiningLoss
from mmvireid.utils.errors import InputError


def random_batch(seed, num_ids=3, dim=5, scale=1.0):
    """Identities in uneven numbers and any order, each in both modalities."""
    rng = np.random.default_rng(seed)
    ids, modality = [], []
    for identity in rng.choice(50, num_ids, replace=False):
        for m in (0, 1):
            number = rng.integers(1, 4)
            ids += [identity] * number
            modality += [m] * number
    order = rng.permutation(len(ids))
    real, generated = torch.from_numpy(scale * rng.standard_normal((2, len(ids), dim)))
    return real, generated, torch.tensor(ids)[order], torch.tensor(modality)[order]


def with_grad(function, real, generated, *known):
    given = [x.detach().clone().requires_grad_() for x in (real, generated)]
    loss = function(*given, *known)
    return loss.detach(), *torch.autograd.grad(loss, given)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), num_ids=st.integers(2, 4),
       scale=st.sampled_from([0.05, 0.3, 2.0]))
def test_equals_loop(seed, num_ids, scale):
    batch = random_batch(seed, num_ids, scale=scale)
    found = with_grad(CenterGuidedPairMiningLoss(), *batch)
    expected = with_grad(naive_pair_mining, *batch)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-6)


def test_order_of_rows_and_names_of_people_do_not_matter():
    real, generated, ids, modality = random_batch(1)
    loss = CenterGuidedPairMiningLoss()(real, generated, ids, modality)
    order = torch.from_numpy(np.random.default_rng(2).permutation(len(ids)))
    others = 1000 - 3 * ids
    torch.testing.assert_close(CenterGuidedPairMiningLoss()(
        real[order], generated[order], others[order], modality[order]), loss)


def test_no_gradient_through_the_distance_to_the_own_centre():
    ids, modality = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    real = torch.tensor([[0.0], [10.0], [1.0], [11.0]], requires_grad=True)
    # Only the first hinge of visible people is open: 0.55 to the other modality, 0.45 to the
    # own one. Generated infrared ones lie where they should.
    generated = torch.tensor([[0.45], [10.45], [0.0], [10.0]], requires_grad=True)
    loss = CenterGuidedPairMiningLoss(margin=0.2)(real, generated, ids, modality)
    assert loss.item() == pytest.approx(0.3 / 2, abs=1e-5)
    loss.backward()
    assert real.grad[:2].flatten().tolist() == [0, 0]
    assert real.grad[2:].flatten().tolist() == pytest.approx([0.25, 0.25])
    assert generated.grad[:2].flatten().tolist() == pytest.approx([-0.25, -0.25])


def test_somebody_of_one_modality_is_only_another_person():
    ids, modality = torch.tensor([0, 1, 0, 1, 2]), torch.tensor([0, 0, 1, 1, 0])
    real = torch.tensor([[0.0], [10.0], [1.0], [11.0], [0.5]])
    generated = torch.tensor([[0.45], [10.45], [0.0], [10.0], [5.0]])
    loss = CenterGuidedPairMiningLoss(margin=0.2)(real, generated, ids, modality)
    # As above, and half a hinge of 0.55 - 0.5 + 0.2: person 2 is that near to person 0.
    assert loss.item() == pytest.approx((0.3 + 0.25 / 2 / 2) / 2, abs=1e-5)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(dtype):
    real, generated, ids, modality = random_batch(1)
    real, generated = real.to(dtype), generated.to(dtype)
    loss, *grads = with_grad(CenterGuidedPairMiningLoss(), real, generated, ids, modality)
    assert all(grad.dtype == dtype and grad.isfinite().all() for grad in grads)
    expected = naive_pair_mining(real.double(), generated.double(), ids, modality)
    torch.testing.assert_close(loss.double(), expected, atol=1e-5, rtol=1e-5)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = CenterGuidedPairMiningLoss()(real, generated, ids, modality)
    assert torch.equal(inside, loss)


@pytest.mark.parametrize(('ids', 'modality', 'message'), [
    ([4, 4, 4, 4], [0, 0, 1, 1], '1 visible identity: draw at least two people'),
    ([4, 5, 4, 4], [0, 0, 1, 1], '1 infrared identity'),
    ([4, 4, 5, 5], [0, 0, 0, 0], 'no infrared identities'),
])
def test_nobody_to_be_told_apart_from(ids, modality, message):
    x = torch.rand(4, 3)
    with pytest.raises(InputError, match=message):
        CenterGuidedPairMiningLoss()(x, x, torch.tensor(ids), torch.tensor(modality))
