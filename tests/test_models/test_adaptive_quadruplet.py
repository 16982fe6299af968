"""Losses on labels of which some are wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.dart import Draws, batch, distances, quadruplets
from torch.nn import functional

from mmvireid.models import (
    AdaptiveQuadrupletLoss,
    SoftIdentificationLoss,
    weighted_cross_entropy,
)


def tensors(*arrays):
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6), st.integers(1, 6), st.floats(0, 1))
def test_every_row_of_the_table_as_a_loop_has_it(seed, num_ids, images, clean):
    """Also with one image a label, few negatives, no confident row at all."""
    rng = np.random.default_rng(seed)
    x, logits, ids, prob = batch(rng, num_ids, images, clean=clean)
    first, second = (torch.from_numpy(x).double().requires_grad_() for _ in range(2))
    expected, anchors, right, chosen = quadruplets(
        distances(first), logits, ids, prob, Draws(rng))
    loss_of = AdaptiveQuadrupletLoss()
    rows = tensors(logits, ids, prob)
    draws = tensors(chosen['positive'], chosen['positive_2'])
    loss = loss_of(second, *rows, draws=draws)
    torch.testing.assert_close(loss, expected)
    assert (loss_of.num_anchors, loss_of.num_right) == (anchors, right)
    found = loss_of.choose(distances(second), *rows, draws=draws)
    for name, values in found._asdict().items():
        np.testing.assert_array_equal(values.numpy(), chosen[name], err_msg=name)
    gradients = [torch.autograd.grad(value, x)[0] for value, x in ((expected, first),
                                                                   (loss, second))]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)
    # What is in no pair has no gradient.
    used = {int(row) for values in chosen.values() for row in values} | set(
        np.flatnonzero(chosen['branch'] >= 0))
    idle = sorted(set(range(len(ids))) - used)
    assert not gradients[1][idle].any()


def test_draws_follow_their_rules():
    """p is another row of the label, all equally often; p' avoids doubtful rows and itself."""
    ids, prob = torch.arange(30) % 3, torch.where(torch.arange(30) < 6, 0.9, 0.1)
    x = torch.randn(30, 4)
    loss_of, seen = AdaptiveQuadrupletLoss(max_positive_redraws=200), []
    torch.manual_seed(0)
    for _ in range(100):
        found = loss_of.choose(distances(x), torch.zeros(30, 3), ids, prob)
        assert (found.branch >= 0).sum() == 6
        anchors = torch.arange(6)
        assert (ids[found.positive[:6]] == ids[:6]).all()
        assert (found.positive[:6] != anchors).all()
        seen.append(int(found.positive[0]))
        second = found.positive_2[:6]
        drawn = second >= 0
        # Of the ten rows of a label two are confident, one of them the anchor itself.
        assert (second[drawn] == (anchors[drawn] + 3) % 6).all()
    assert set(seen) == set(range(3, 30, 3))
    # Without any further draw it takes what comes, at times the anchor itself.
    careless = AdaptiveQuadrupletLoss(max_positive_redraws=0)
    taken = torch.stack([
        careless.choose(distances(x), torch.zeros(30, 3), ids, prob).positive_2[:6]
        for _ in range(100)])
    assert (taken == torch.arange(6)).any()
    assert (prob[taken[taken >= 0]] < 0.5).any()


def test_trusted_labels_give_the_plain_losses():
    x, logits, ids, _ = batch(np.random.default_rng(0))
    x, logits, ids = tensors(x, logits, ids)
    sure = torch.ones(len(ids))
    torch.testing.assert_close(
        SoftIdentificationLoss()(logits, ids, sure), functional.cross_entropy(logits, ids))
    positive = torch.roll(torch.arange(len(ids)).view(-1, 5), 1, 1).ravel()
    loss = AdaptiveQuadrupletLoss()(x, logits, ids, sure, draws=(positive, positive))
    distance = distances(x)
    nearest = distance.masked_fill(ids[:, None] == ids, torch.inf).amin(1)
    plain = (distance.gather(1, positive[:, None])[:, 0] - nearest + 0.3).relu().mean()
    torch.testing.assert_close(loss, plain)


@pytest.mark.parametrize('weight', [1.0, 0.5])
def test_the_divisor_of_the_soft_loss_is_the_number_of_rows(weight):
    logits = torch.randn(6, 4, requires_grad=True)
    ids, prob = torch.arange(6) % 4, torch.rand(6)
    expected = sum(p * -row.log_softmax(0)[i] for row, i, p in zip(logits, ids, prob)) / 6
    torch.testing.assert_close(
        SoftIdentificationLoss(weight)(logits, ids, prob), weight * expected)
    torch.testing.assert_close(weighted_cross_entropy(logits, ids, prob), expected)


@pytest.mark.parametrize(('ids', 'prob'), [
    ([0, 0, 1, 1], [0.4] * 4),  # nobody is trusted
    ([0, 1, 2, 3], [0.9] * 4),  # nobody has a partner
    ([0, 0, 0, 0], [0.9] * 4),  # nobody has a negative
])
def test_without_an_anchor_the_loss_is_zero_and_the_step_works(ids, prob):
    x = torch.randn(4, 3, requires_grad=True)
    loss = AdaptiveQuadrupletLoss()(x, torch.zeros(4, 4), torch.tensor(ids), torch.tensor(prob))
    loss.backward()
    assert loss == 0
    assert not x.grad.any()


def test_neither_confidence_nor_prediction_has_a_gradient():
    x, logits, ids, prob = tensors(*batch(np.random.default_rng(1)))
    x.requires_grad_()
    logits.requires_grad_()
    prob.requires_grad_()
    AdaptiveQuadrupletLoss()(x, logits, ids, prob).backward()
    assert x.grad.any()
    assert logits.grad is None
    assert prob.grad is None
