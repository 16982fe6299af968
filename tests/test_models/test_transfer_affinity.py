"""The graph of CIFT: the properties every implementation has."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.cift import naive_affinity

from mmvireid.models import transfer_affinity


def random_nodes(seed, num_query, num_gallery, dim=6):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_query + num_gallery, dim, generator=generator, dtype=torch.float64)
    is_query = torch.zeros(len(x), dtype=torch.bool)
    is_query[torch.randperm(len(x), generator=generator)[:num_query]] = True
    return x, is_query


nodes = st.tuples(st.integers(0, 10**6), st.integers(0, 7), st.integers(1, 9))
properties = settings(max_examples=15, deadline=None)


@properties
@given(case=nodes, self_edges=st.booleans(), k=st.integers(1, 6),
       tau_het=st.floats(0.05, 1), tau_hom=st.floats(0.05, 1))
def test_equals_loop(case, self_edges, k, tau_het, tau_hom):
    x, is_query = random_nodes(*case)
    options = {'self_edges': self_edges, 'tau_het': tau_het, 'tau_hom': tau_hom}
    affinity = transfer_affinity(x, is_query, num_neighbors=k, **options)
    if not self_edges and case[2] == 1:
        # The only gallery node has nobody to receive from.
        assert torch.equal(affinity[~is_query], torch.zeros(1, len(x), dtype=x.dtype))
        return
    expected = naive_affinity(x, is_query, k=k, **options)
    torch.testing.assert_close(affinity, expected, atol=1e-9, rtol=1e-9)


@properties
@given(case=nodes, self_edges=st.booleans())
def test_four_entries_that_sum_to_one(case, self_edges):
    x, is_query = random_nodes(*case)
    affinity = transfer_affinity(x, is_query, self_edges=self_edges)
    num_gallery = case[2]
    for i, row in enumerate(affinity):
        candidates = num_gallery
        if self_edges and is_query[i]:
            candidates += 1
        if not self_edges and not is_query[i]:
            candidates -= 1
        assert int((row > 0).sum()) == min(4, candidates)
        assert row.sum().item() == pytest.approx(1 if candidates else 0)
    if not self_edges:
        assert torch.equal(affinity.diagonal(), torch.zeros(len(x), dtype=x.dtype))


@properties
@given(case=nodes)
def test_only_gallery_nodes_send(case):
    x, is_query = random_nodes(*case)
    affinity = transfer_affinity(x, is_query)
    sent_by_queries = affinity[:, is_query]
    itself = torch.eye(len(x), dtype=torch.bool)[:, is_query]
    assert (sent_by_queries[~itself] == 0).all()


@properties
@given(case=st.tuples(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 9)))
def test_batch_equals_graph_of_each_query(case):
    x, is_query = random_nodes(*case)
    out = transfer_affinity(x, is_query) @ x
    gallery = x[~is_query]
    for i in torch.nonzero(is_query).flatten():
        alone = torch.cat([x[i:i + 1], gallery])
        one_query = torch.arange(len(alone)) == 0
        alone_out = transfer_affinity(alone, one_query) @ alone
        torch.testing.assert_close(alone_out[0], out[i], atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(alone_out[1:], out[~is_query], atol=1e-9, rtol=1e-9)


@properties
@given(case=st.tuples(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 9)))
def test_gallery_does_not_see_queries(case):
    x, is_query = random_nodes(*case)
    changed = torch.where(is_query[:, None], torch.randn_like(x) * 5, x)
    before = (transfer_affinity(x, is_query) @ x)[~is_query]
    after = (transfer_affinity(changed, is_query) @ changed)[~is_query]
    torch.testing.assert_close(after, before, atol=1e-12, rtol=0)


@properties
@given(num_query=st.integers(0, 4), num_gallery=st.integers(1, 8), zero=st.booleans(),
       self_edges=st.booleans())
def test_ties_keep_four(num_query, num_gallery, zero, self_edges):
    """All nodes equal, or all zero: every similarity ties."""
    x = torch.zeros(num_query + num_gallery, 3) if zero else torch.ones(
        num_query + num_gallery, 3)
    x.requires_grad_()
    is_query = torch.arange(len(x)) < num_query
    affinity = transfer_affinity(x, is_query, self_edges=self_edges)
    if self_edges:
        torch.testing.assert_close(affinity.sum(1), torch.ones(len(x)))
        # Every entry is the weight of one of four (or fewer) equal neighbours.
        assert ((affinity > 0).sum(1) <= 4).all()
    elif num_gallery > 1:
        torch.testing.assert_close(affinity.sum(1), torch.ones(len(x)))
    (affinity @ x).square().sum().backward()
    assert torch.isfinite(x.grad).all()


def test_zero_row_leaves_others_alone():
    """A counterfactual node without noise is a zero vector; released code makes NaN of it."""
    x, is_query = random_nodes(0, 4, 6)
    x[is_query.nonzero()[0]] = 0
    x[(~is_query).nonzero()[0]] = 0
    x.requires_grad_()
    affinity = transfer_affinity(x, is_query, self_edges=False)
    assert torch.isfinite(affinity).all()
    torch.testing.assert_close(affinity.sum(1), torch.ones(10, dtype=x.dtype))
    (affinity * torch.randn_like(affinity)).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().max() < 1e3


def test_temperatures_by_hand():
    # One query, two gallery nodes at right angles to each other; the query is the first.
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    is_query = torch.tensor([True, False, False])
    affinity = transfer_affinity(x, is_query, tau_het=0.5, tau_hom=0.25)
    e2, e4 = torch.tensor(2.0).exp(), torch.tensor(4.0).exp()
    expected = torch.stack([
        torch.stack([e2, e2, torch.tensor(1.0)]) / (2 * e2 + 1),
        torch.stack([torch.tensor(0.0), e4, torch.tensor(1.0)]) / (e4 + 1),
        torch.stack([torch.tensor(0.0), torch.tensor(1.0), e4]) / (e4 + 1)
    ])
    torch.testing.assert_close(affinity, expected)


def test_length_of_features_does_not_matter():
    x, is_query = random_nodes(1, 5, 8)
    scale = torch.rand(len(x), 1, dtype=x.dtype) + 0.1
    torch.testing.assert_close(
        transfer_affinity(x * scale, is_query), transfer_affinity(x, is_query))


def test_leading_axis_is_a_stack_of_graphs():
    is_query = torch.arange(9) < 4
    stack = torch.randn(3, 9, 5)
    together = transfer_affinity(stack, is_query, self_edges=False)
    for graph, affinity in zip(stack, together):
        torch.testing.assert_close(
            affinity, transfer_affinity(graph, is_query, self_edges=False))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype):
    x, is_query = random_nodes(2, 5, 8)
    x = x.to(dtype)
    affinity = transfer_affinity(x, is_query)
    assert affinity.dtype == torch.float32
    torch.testing.assert_close(affinity, transfer_affinity(x.float(), is_query))


def test_autocast_computes_in_full_precision():
    x, is_query = random_nodes(3, 5, 8)
    x = x.float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = transfer_affinity(x, is_query)
    torch.testing.assert_close(inside, transfer_affinity(x, is_query), rtol=0, atol=0)
