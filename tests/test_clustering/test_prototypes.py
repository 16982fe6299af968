"""Prototypes of clusters against a loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.features import people
from reference.prototypes import naive_prototypes, random_labels

from mmvireid.clustering import cluster_centroids, modality_prototypes


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_agrees_with_loop_in_any_order_of_images(seed):
    features, modality, _ = people(seed)
    order = np.random.default_rng(seed).permutation(len(features))
    features, modality = features[order], modality[order]
    labels = random_labels(seed, len(features))
    mean, clusters, kinds, assignment = naive_prototypes(features, labels, modality)
    result = modality_prototypes(
        torch.from_numpy(features), torch.from_numpy(labels), torch.from_numpy(modality))
    np.testing.assert_allclose(result.centroids, mean, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(result.groups, clusters)
    np.testing.assert_array_equal(result.modality, kinds)
    np.testing.assert_array_equal(result.assignment, assignment)


def test_only_outliers_make_no_prototypes():
    result = modality_prototypes(np.ones((3, 4), np.float32), [-1, -1, -1], [0, 0, 1])
    assert result.centroids.shape == (0, 4)
    assert len(result.groups) == 0
    np.testing.assert_array_equal(result.assignment, [-1, -1, -1])


def test_rejects_bad_input():
    with pytest.raises(ValueError, match='cluster 1 of 3 has no image'):
        cluster_centroids(np.ones((2, 4)), [0, 2])
    with pytest.raises(ValueError, match='labels of shape'):
        cluster_centroids(np.ones((2, 4)), [0])
    with pytest.raises(ValueError, match='2 features, 1 labels and 2 modalities'):
        modality_prototypes(np.ones((2, 4)), [0], [0, 1])


@pytest.mark.parametrize('warn_only', [None, False, True])
def test_sums_are_formed_in_one_order_whatever_the_setting(monkeypatch, warn_only):
    """A GPU adds in any order unless it is asked; the caller's own setting comes back."""
    seen = []
    add = torch.Tensor.index_add_

    def recorded(*args):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return add(*args)

    monkeypatch.setattr(torch.Tensor, 'index_add_', recorded)
    torch.use_deterministic_algorithms(warn_only is not None, warn_only=bool(warn_only))
    try:
        cluster_centroids(torch.rand(6, 2), torch.tensor([0, 1, 0, 1, -1, 0]))
        assert seen == [True]
        assert torch.are_deterministic_algorithms_enabled() == (warn_only is not None)
        assert torch.is_deterministic_algorithms_warn_only_enabled() == bool(warn_only)
    finally:
        torch.use_deterministic_algorithms(False)
