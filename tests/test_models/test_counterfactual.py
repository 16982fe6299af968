"""Counterfactual relation intervention of CIFT."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.cift import naive_counterfactual

from mmvireid.models import CounterfactualIntervention, transfer_affinity


def set_parameters(branch, c, k):
    with torch.no_grad():
        branch.c.copy_(c)
        branch.k.copy_(k)
    return branch


def test_c_has_no_gradient_while_k_is_zero():
    torch.manual_seed(0)
    branch = CounterfactualIntervention(6, noise='slot', batch_size=10).double()
    x = torch.randn(10, 6, dtype=torch.float64)
    out = branch(x, torch.arange(10) < 5)
    (out * torch.randn_like(out)).sum().backward()
    assert branch.c.grad.abs().max() < 1e-12
    assert branch.k.grad.abs().max() > 1e-3


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), num_query=st.integers(1, 5), num_gallery=st.integers(2, 7))
def test_equals_loop_and_linear_identity(seed, num_query, num_gallery):
    generator = torch.Generator().manual_seed(seed)
    rows = num_query + num_gallery
    x = torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    draws = torch.randn(3, rows, 5, generator=generator, dtype=torch.float64)
    is_query = torch.arange(rows) < num_query
    branch = CounterfactualIntervention(5, 3, 'slot', rows).double()
    set_parameters(branch, torch.rand(rows, 1, generator=generator) + 0.1,
                   torch.randn(rows, 5, generator=generator) * 0.3)
    out = branch(x, is_query, draws=draws).detach()
    affinities, expected = naive_counterfactual(
        x, is_query, draws, branch.c.detach(), branch.k.detach())
    torch.testing.assert_close(out, expected, atol=1e-9, rtol=1e-9)

    # Y_TIE = W (x~ - x~*) is the difference of two predictions: Y minus the mean of Y*.
    w = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    factual = transfer_affinity(x, is_query) @ x
    y_star = torch.stack([a @ x @ w.T for a in affinities])
    torch.testing.assert_close(
        (factual - out) @ w.T, factual @ w.T - y_star.mean(0), atol=1e-9, rtol=1e-9)


def test_silent_slots_give_no_nan():
    """c <= 0 with k = 0 is a zero row of X*: NaN in every row of the released code."""
    branch = CounterfactualIntervention(6, noise='slot', batch_size=10)
    c = torch.ones(10, 1)
    c[[0, 7]] = torch.tensor([[-0.5], [0.0]])
    set_parameters(branch, c, torch.zeros(10, 6))
    x = torch.randn(10, 6, requires_grad=True)
    out = branch(x, torch.arange(10) < 5)
    out.square().sum().backward()
    for tensor in (out, x.grad, branch.c.grad, branch.k.grad):
        assert torch.isfinite(tensor).all()
    assert branch.c.grad[0] == 0
    assert branch.c.grad[7] == 0


def test_draws_come_from_the_default_generator():
    branch = CounterfactualIntervention(6, num_draws=4, noise='shared')
    x, is_query = torch.randn(9, 6), torch.arange(9) < 4
    torch.manual_seed(7)
    first = branch(x, is_query)
    second = branch(x, is_query)
    torch.manual_seed(7)
    again = branch(x, is_query)
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    torch.manual_seed(7)
    given_draws = branch(x, is_query, draws=torch.randn(4, 9, 6))
    torch.testing.assert_close(first, given_draws, rtol=0, atol=0)


def test_shared_noise_takes_any_batch():
    branch = CounterfactualIntervention(6, noise='shared')
    assert branch.c.shape == (1, 1)
    assert branch.k.shape == (1, 6)
    for rows in (6, 10):
        assert branch(torch.randn(rows, 6), torch.arange(rows) < 3).shape == (rows, 6)


def test_shared_equals_slot_with_equal_slots():
    shared = CounterfactualIntervention(6, noise='shared')
    slot = CounterfactualIntervention(6, noise='slot', batch_size=8)
    k = torch.randn(1, 6)
    set_parameters(shared, torch.full((1, 1), 0.5), k)
    set_parameters(slot, torch.full((8, 1), 0.5), k.expand(8, 6))
    x, is_query, draws = torch.randn(8, 6), torch.arange(8) < 4, torch.randn(3, 8, 6)
    torch.testing.assert_close(
        shared(x, is_query, draws=draws), slot(x, is_query, draws=draws))


def test_wrong_batch_size_says_what_to_do():
    branch = CounterfactualIntervention(6, noise='slot', batch_size=8)
    with pytest.raises(ValueError, match="8 rows, got 10.*noise='shared'"):
        branch(torch.randn(10, 6), torch.arange(10) < 5)


def test_bad_settings():
    with pytest.raises(ValueError, match='batch_size'):
        CounterfactualIntervention(6, noise='slot')
    with pytest.raises(ValueError, match='gauss'):
        CounterfactualIntervention(6, noise='gauss')
    with pytest.raises(ValueError, match='num_draws must be at least 1, got 0'):
        CounterfactualIntervention(6, num_draws=0, noise='shared')
