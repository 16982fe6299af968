"""Exact search against a sorted list, with ties and through every backend."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.search import topk
from mmvireid.search.torch_backend import select_stable


def naive_topk(query, gallery, k, metric):
    scores, indices = [], []
    for q in query.astype(np.float64):
        if metric == 'l2':
            score = ((gallery - q)**2).sum(1)
            order = sorted(range(len(gallery)), key=lambda g: (score[g], g))[:k]
        else:
            score = gallery @ q
            order = sorted(range(len(gallery)), key=lambda g: (-score[g], g))[:k]
        scores.append(score[order])
        indices.append(order)
    return np.array(scores), np.array(indices)


def lattice(seed, rows, dim=6):
    """Small integers: every product is exact in float32, and many tie."""
    return np.random.default_rng(seed).integers(-2, 3, (rows, dim)).astype(np.float32)


@pytest.mark.parametrize('metric', ['inner_product', 'l2'])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12), chunk=st.sampled_from([None, 1, 7]))
def test_agrees_with_naive_sort_with_ties(metric, seed, k, chunk):
    query, gallery = lattice(seed, 13), lattice(seed + 1, 57)
    scores, indices = topk(query, gallery, k, metric=metric, chunk_size=chunk)
    expected_scores, expected = naive_topk(query, gallery, k, metric)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize('metric', ['inner_product', 'l2'])
@pytest.mark.parametrize('backend', ['torch', 'faiss'])
def test_backends_agree_without_ties(backend, metric):
    rng = np.random.default_rng(0)
    query, gallery = rng.standard_normal((40, 24)), rng.standard_normal((300, 24))
    scores, indices = topk(torch.from_numpy(query), torch.from_numpy(gallery), 9,
                           backend=backend, metric=metric, chunk_size=11)
    expected_scores, expected = naive_topk(query, gallery, 9, metric)
    assert isinstance(indices, torch.Tensor)
    assert indices.dtype == torch.int64
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(scores, expected_scores, atol=2e-5)


def test_many_column_blocks_are_merged_in_order(monkeypatch):
    monkeypatch.setattr('mmvireid.search.torch_backend.CPU_BLOCK', 40)
    query, gallery = lattice(3, 9), lattice(4, 80)
    _, indices = topk(query, gallery, 5, chunk_size=4)
    np.testing.assert_array_equal(indices, naive_topk(query, gallery, 5, 'inner_product')[1])


def test_select_stable_is_the_stable_sort():
    block = torch.from_numpy(lattice(0, 50, 30))
    value, index = select_stable(block, 8)
    whole, order = block.sort(dim=1, descending=True, stable=True)
    assert torch.equal(value, whole[:, :8])
    assert torch.equal(index, order[:, :8])


def test_small_gallery_gives_all():
    scores, indices = topk(np.eye(3), np.eye(3), 10)
    assert scores.shape == indices.shape == (3, 3)
    np.testing.assert_array_equal(indices, [[0, 1, 2], [1, 0, 2], [2, 0, 1]])


def test_rejects_bad_input():
    rows = np.eye(3)
    with pytest.raises(ValueError, match='unknown search backend "annoy"'):
        topk(rows, rows, 1, backend='annoy')
    with pytest.raises(ValueError, match='unknown metric "cosine"'):
        topk(rows, rows, 1, metric='cosine')
    with pytest.raises(ValueError, match='k must be'):
        topk(rows, rows, 0)
    with pytest.raises(ValueError, match='3 dimensions but gallery has 2'):
        topk(rows, rows[:, :2], 1)
    with pytest.raises(ValueError, match='gallery is empty'):
        topk(rows, rows[:0], 1)
    with pytest.raises(ValueError, match='must be of shape'):
        topk(rows[0], rows, 1)
    with pytest.raises(ValueError, match='gallery holds NaN'):
        topk(rows, np.full((3, 3), np.inf), 1)
