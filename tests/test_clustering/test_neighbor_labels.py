"""Soft labels and weights from neighbours (N-ULC), against loops and by their promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.nulc import naive_soft_labels, naive_weights

from mmvireid.clustering import neighbor_labels, neighbor_soft_labels, neighbor_weights


def case(seed, num=14, num_reference=11, num_clusters=4):
    rng = np.random.default_rng(seed)
    labels = np.append(np.arange(num_clusters), rng.integers(
        -1, num_clusters, num_reference - num_clusters))
    return (rng.standard_normal((num, 5)).astype(np.float32),
            3 * rng.standard_normal((num_reference, 5)).astype(np.float32), labels)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 14), st.booleans())
def test_equals_loops(seed, k, own):
    features, reference, labels = case(seed)
    if own:
        reference = features
        labels = np.random.default_rng(seed).permutation(np.append(labels, [-1, -1, 0]))
    soft = neighbor_soft_labels(features, reference, labels, num_neighbors=k)
    expected = naive_soft_labels(features, reference, labels, k, 4)
    np.testing.assert_allclose(soft.toarray(), expected, atol=1e-12)
    assert soft.shape == (14, 4)
    sums = np.asarray(soft.sum(1)).ravel()
    assert (np.isclose(sums, 1) | (sums == 0)).all()
    assert np.diff(soft.indptr).max() <= k
    assert (soft.data > 0).all()
    targets = np.random.default_rng(seed).integers(-1, 4, 14)
    weights = neighbor_weights(soft, targets, scale=3)
    np.testing.assert_allclose(weights, naive_weights(expected, targets, 3))
    assert ((weights >= 0) & (weights <= 1)).all()
    np.testing.assert_array_equal(weights[targets < 0], 0)
    # An image weighs 1 if all its mass is on the target, and only then.
    mass = np.append(expected, np.zeros((14, 1)), 1)[np.arange(14), targets]
    np.testing.assert_array_equal(weights == 1, np.isclose(mass, 1))


def test_a_neighbourhood_of_outliers_gives_no_mass_and_no_nan():
    features, reference = np.float32([[1, 0], [0, 1]]), np.float32([[1, 0], [0, 1], [0.1, 1]])
    soft = neighbor_soft_labels(features, reference, [-1, 0, 1], num_neighbors=1)
    assert soft.toarray().tolist() == [[0, 0], [1, 0]]
    np.testing.assert_allclose(neighbor_weights(soft, [1, 0]), [np.exp(-10), 1])
    # Nobody is in a cluster at all.
    soft = neighbor_soft_labels(features, reference, [-1, -1, -1])
    assert soft.shape == (2, 0)


def test_more_neighbours_than_images_are_all_of_them():
    features, reference, labels = case(3)
    every, more = (neighbor_soft_labels(features, reference, labels, num_neighbors=k)
                   for k in (len(reference), 1000))
    np.testing.assert_array_equal(every.toarray(), more.toarray())


def test_all_pairs_are_never_held(monkeypatch):
    """The search is that of the project, which works in blocks."""
    calls = []
    for name in ('topk', 'self_topk'):
        search = getattr(neighbor_labels, name)
        monkeypatch.setattr(neighbor_labels, name, lambda *args, search=search, name=name: (
            calls.append(name), search(*args))[1])
    features, reference, labels = case(4)
    neighbor_soft_labels(features, reference, labels)
    neighbor_soft_labels(reference, reference, labels)
    assert calls == ['topk', 'self_topk']


def test_one_label_for_each_reference():
    with pytest.raises(ValueError, match=r'3 reference features got labels of shape \(2,\)'):
        neighbor_soft_labels(torch.eye(3), torch.eye(3), torch.tensor([0, 1]))
