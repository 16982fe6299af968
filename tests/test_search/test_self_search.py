"""The symmetric search gives what the general one gives, whatever the shortcuts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.features import people

from mmvireid.search import self_search, self_topk, topk


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Make a few dozen images fill many blocks."""
    monkeypatch.setattr(self_search, 'BLOCK', 16)
    monkeypatch.setattr(self_search, 'SYMMETRY_FROM', 2)


def expected_neighbors(features, k, groups, metric):
    for group in np.unique(groups):
        rows = torch.from_numpy(np.flatnonzero(groups == group))
        scores, indices = topk(features, features[rows], k, metric=metric)
        yield scores, rows[indices]


@pytest.mark.parametrize('metric', ['inner_product', 'l2'])
@pytest.mark.parametrize('low_precision', [False, True])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 20), unit=st.booleans())
def test_agrees_with_general_search(low_precision, metric, seed, k, unit):
    features, modality, _ = people(seed, num_ids=9, unit=unit, gap=2.0)
    # Groups in any order, as a shuffled training set has them.
    order = np.random.default_rng(seed).permutation(len(features))
    features, modality = torch.from_numpy(features[order]), modality[order]
    for groups in (None, modality):
        labels = np.zeros(len(features), dtype=int) if groups is None else groups
        found = self_topk(features, k, groups=groups, metric=metric, low_precision=low_precision)
        for (scores, indices), (wanted_scores, wanted) in zip(
                found, expected_neighbors(features, k, labels, metric), strict=True):
            torch.testing.assert_close(scores, wanted_scores, atol=2e-6, rtol=0)
            # Two images whose scores differ by less than float32 resolves may change places.
            for row, column in (indices != wanted).nonzero().tolist():
                pair = features[[indices[row, column], wanted[row, column]]].double()
                query = features[row].double()
                exact = pair @ query if metric == 'inner_product' else (
                    pair - query).square().sum(1)
                assert abs(exact[0] - exact[1]) < 1e-6


@pytest.mark.parametrize('metric', ['inner_product', 'l2'])
@pytest.mark.parametrize('low_precision', [False, True])
def test_ties_go_to_the_lower_index(low_precision, metric):
    # Small integers are exact in bfloat16: all that tie tie exactly.
    features = torch.randint(-1, 2, (90, 5), generator=torch.Generator().manual_seed(0)).float()
    groups = np.arange(90) % 3
    found = self_topk(features, 7, groups=groups, metric=metric, low_precision=low_precision)
    for (scores, indices), (wanted_scores, wanted) in zip(
            found, expected_neighbors(features, 7, groups, metric), strict=True):
        assert torch.equal(indices, wanted)
        assert torch.equal(scores, wanted_scores)


@pytest.mark.parametrize('scale', [1e-6, 1.0, 1e4])
def test_neighbours_closer_than_bfloat16_resolves(scale):
    # 60 images within 1e-3 of each other: bfloat16 (steps of 4e-3) cannot order them.
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(1, 32, generator=generator)
    features = scale * (features + 1e-3 * torch.randn(60, 32, generator=generator))
    products = (features.double() @ features.double().T)
    wanted = products.sort(dim=1, descending=True, stable=True).values[:, :5]
    (_, indices), = self_topk(features, 5, low_precision=True)
    # Compare by score: float32 itself may swap two that differ by its last place.
    np.testing.assert_allclose(products.gather(1, indices), wanted, rtol=1e-6)


def test_rows_with_too_many_candidates_are_searched_in_float32(monkeypatch):
    searched = []
    original = self_search._search_rows

    def record(rows, bias, wanted, *args):
        searched.extend(wanted)
        return original(rows, bias, wanted, *args)

    monkeypatch.setattr(self_search, 'CAPACITY', 12)
    monkeypatch.setattr(self_search, '_search_rows', record)
    features, modality, _ = people(3, num_ids=3, visible=20, infrared=10, noise=0.1)
    features = torch.from_numpy(features)
    found = self_topk(features, 6, groups=modality, low_precision=True)
    assert searched
    for (_, indices), (_, wanted) in zip(
            found, expected_neighbors(features, 6, modality, 'inner_product'), strict=True):
        assert torch.equal(indices, wanted)


@pytest.mark.parametrize('num_shares', [2, 3, 5, 40])
@pytest.mark.parametrize('search', ['_search_float32', '_search_bfloat16'])
def test_shares_make_up_the_whole(search, num_shares, monkeypatch):
    monkeypatch.setattr(self_search, 'CAPACITY', 24)
    sizes = [70, 1, 49]
    features = torch.from_numpy(people(5, num_ids=6, visible=12, infrared=8, noise=0.2)[0])
    bias = -0.5 * features.square().sum(1).numpy()
    search = getattr(self_search, search)
    whole = search(features, bias, sizes, 6, range(120))
    edges = np.array([0] + [stop for _, _, stop in self_search._blocks(sizes)])
    bounds = self_search._share_bounds(edges, num_shares)
    assert (bounds[0], bounds[-1], len(bounds)) == (0, 120, num_shares + 1)
    for start, stop in zip(bounds, bounds[1:]):
        share = search(features, bias, sizes, 6, range(start, stop))
        for part, one in zip(share, whole, strict=True):
            for found, expected in zip(part, one, strict=True):
                np.testing.assert_array_equal(found[start:stop], expected[start:stop])


def test_error_bound_holds():
    features = torch.from_numpy(people(2, unit=False, dim=300)[0])
    rounded = features.bfloat16()
    bound = self_search._error_bound(features, rounded, 300)
    exact = features.double() @ features.double().T
    error = ((rounded @ rounded.T).double() - exact).abs().numpy()
    assert (error <= bound[:, None]).all()
    # Neither is it so loose that everything becomes a candidate.
    assert (bound < 0.02).all()


def test_other_backend():
    features = torch.from_numpy(people(4)[0])
    (_, indices), = self_topk(features, 4, backend='faiss')
    (_, expected), = self_topk(features, 4)
    assert torch.equal(indices, expected)


def test_fewer_images_than_neighbours():
    features = torch.eye(4)
    (scores, indices), = self_topk(features, 9)
    assert scores.shape == indices.shape == (4, 4)
    assert torch.equal(indices[2], torch.tensor([2, 0, 1, 3]))
