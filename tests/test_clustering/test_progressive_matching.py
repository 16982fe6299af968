"""Properties of progressive graph matching."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.pgm import cheapest_pairs, costs, naive_matching

from mmvireid.clustering import ProgressiveGraphMatching, progressive_graph_matching
from mmvireid.structures import ImageSet

SIZES = st.integers(1, 6)


def centroids(seed, visible, infrared, dim=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((visible, dim)), rng.standard_normal((infrared, dim))


def maps_of(match):
    return match.visible_to_infrared, match.infrared_to_visible


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), SIZES, SIZES)
def test_equals_trying_all_assignments(seed, num_visible, num_infrared):
    visible, infrared = centroids(seed, num_visible, num_infrared)
    match = progressive_graph_matching(visible, infrared)
    *expected, rounds = naive_matching(visible, infrared)
    for found, naive in zip(maps_of(match), expected):
        np.testing.assert_array_equal(found, naive)
    assert match.notes == {'rounds': rounds}
    # The first round alone is the cheapest one-to-one assignment.
    first = progressive_graph_matching(visible, infrared, max_rounds=1)
    pairs = [(v, i) for v, i in enumerate(first.visible_to_infrared) if i >= 0]
    cost = costs(visible, infrared)
    assert len(pairs) == min(cost.shape)
    assert sum(cost[pair] for pair in pairs) == pytest.approx(
        sum(cost[pair] for pair in cheapest_pairs(cost)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 9), st.booleans())
def test_everyone_has_a_partner(seed, num_more, num_fewer, swap):
    num_more += num_fewer - 1
    visible, infrared = centroids(seed, num_more, num_fewer)
    match = progressive_graph_matching(*((infrared, visible) if swap else (visible, infrared)))
    larger, smaller = maps_of(match)[::-1] if swap else maps_of(match)
    rounds = -(-num_more // num_fewer)
    assert match.notes['rounds'] == rounds
    assert (larger >= 0).all()
    assert len(set(smaller)) == num_fewer  # one to one
    np.testing.assert_array_equal(larger[smaller], np.arange(num_fewer))
    assert set(np.bincount(larger, minlength=num_fewer)) <= {
        num_more // num_fewer, rounds}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_what_changes_nothing(seed, num_visible, num_infrared):
    visible, infrared = centroids(seed, num_visible, num_infrared)
    expected = maps_of(progressive_graph_matching(visible, infrared))
    rng = np.random.default_rng(seed)
    # The other way round, and other lengths.
    swapped = progressive_graph_matching(
        infrared * rng.uniform(0.1, 9, (num_infrared, 1)), torch.from_numpy(visible))
    for found, wanted in zip(maps_of(swapped)[::-1], expected):
        np.testing.assert_array_equal(found, wanted)
    # Other numbers of the clusters.
    v, i = rng.permutation(num_visible), rng.permutation(num_infrared)
    permuted = maps_of(progressive_graph_matching(visible[v], infrared[i]))
    np.testing.assert_array_equal(i[permuted[0]], expected[0][v])
    np.testing.assert_array_equal(v[permuted[1]], expected[1][i])


def test_rounds_can_be_limited():
    visible, infrared = centroids(0, 10, 3)
    for rounds in (1, 2, 3):
        match = progressive_graph_matching(visible, infrared, max_rounds=rounds)
        assert (match.visible_to_infrared >= 0).sum() == 3 * rounds
        assert match.notes == {'rounds': rounds}
        assert (match.infrared_to_visible >= 0).all()


def test_the_associator_matches_centroids():
    rng = np.random.default_rng(1)
    modality = np.repeat([0, 1], [30, 20])
    clusters = np.where(modality == 0, rng.integers(-1, 6, 50), rng.integers(6, 10, 50))
    clusters[clusters == 5] = -1  # numbers need not be without gaps
    features = torch.from_numpy(rng.standard_normal((50, 7)))
    images = ImageSet(dict(base=features), identity=np.full(50, -1), camera=modality + 1,
                      modality=modality, sample_idx=np.arange(50))
    means = [np.array([features[(clusters == k) & (modality == m)].numpy().mean(0)
                       for k in np.unique(clusters[(modality == m) & (clusters >= 0)])])
             for m in (0, 1)]
    found = ProgressiveGraphMatching()(images, clusters)
    for one, other in zip(maps_of(found), maps_of(progressive_graph_matching(*means))):
        np.testing.assert_array_equal(one, other)
    found = ProgressiveGraphMatching(max_rounds=1)(images, clusters)
    assert (found.visible_to_infrared >= 0).sum() == len(means[1])


def test_what_cannot_be_matched_is_said():
    with pytest.raises(ValueError, match='max_rounds must be at least 1'):
        ProgressiveGraphMatching(max_rounds=0)
    with pytest.raises(ValueError, match='0 visible and 3 infrared'):
        progressive_graph_matching(np.zeros((0, 4)), np.ones((3, 4)))
    with pytest.raises(ValueError, match='infrared centroids must be finite'):
        progressive_graph_matching(np.ones((2, 4)), np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match='4 dimensions, infrared ones 5'):
        progressive_graph_matching(np.ones((2, 4)), np.ones((3, 5)))
