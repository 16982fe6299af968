"""Matching by optimal transport (RPNR): its plan, its two maps, its limits."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.rpnr import cosine, naive_transport

from mmvireid.clustering import hybrid_centroids, optimal_transport_matching


def centroids(seed, kv, ki, dim=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((kv, dim)), 3 * rng.standard_normal((ki, dim))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9))
def test_plan_and_maps(seed, kv, ki):
    visible, infrared = centroids(seed, kv, ki)
    match, plan = optimal_transport_matching(visible, torch.from_numpy(infrared))
    assert plan.dtype == np.float64
    assert (plan >= 0).all()
    np.testing.assert_allclose(plan.sum(1), 1 / kv, atol=1e-5)
    np.testing.assert_allclose(plan.sum(0), 1 / ki, atol=1e-5)
    np.testing.assert_allclose(plan, naive_transport(visible, infrared), atol=1e-6)
    # Both maps are total; both may be many-to-one. Equal entries differ by rounding.
    entries = (kv * ki * plan).round(9)
    np.testing.assert_array_equal(
        entries[np.arange(kv), match.visible_to_infrared], entries.max(1))
    np.testing.assert_array_equal(
        entries[match.infrared_to_visible, np.arange(ki)], entries.max(0))
    # More iterations change no partner; nor does the length of a centroid.
    for other, _ in (optimal_transport_matching(visible, infrared, tol=1e-13),
                     optimal_transport_matching(7 * visible, infrared)):
        for name in ('visible_to_infrared', 'infrared_to_visible'):
            np.testing.assert_array_equal(getattr(other, name), getattr(match, name))
    # Who is visible and who is infrared makes no difference at the end.
    swapped, _ = optimal_transport_matching(infrared, visible, tol=1e-13)
    np.testing.assert_array_equal(swapped.visible_to_infrared, match.infrared_to_visible)
    np.testing.assert_array_equal(swapped.infrared_to_visible, match.visible_to_infrared)


@pytest.mark.parametrize('seed', range(2))
def test_without_entropy_it_is_the_assignment(seed):
    visible, infrared = centroids(seed, 5, 5)
    cost = np.exp([[-cosine(v, i) for i in infrared] for v in visible])
    best = min(permutations(range(5)), key=lambda order: cost[range(5), order].sum())
    match, plan = optimal_transport_matching(visible, infrared, reg=2e-2)
    assert np.isfinite(plan).all()
    assert match.visible_to_infrared.tolist() == list(best)
    assert match.infrared_to_visible.tolist() == np.argsort(best).tolist()


def test_a_small_regularisation_does_not_overflow(caplog):
    match, plan = optimal_transport_matching(*centroids(0, 6, 4), reg=1e-3, max_iters=40)
    assert np.isfinite(plan).all()
    np.testing.assert_allclose(plan.sum(1), 1 / 6, atol=1e-9)
    assert match.visible_to_infrared.min() >= 0
    assert match.infrared_to_visible.min() >= 0
    # It had no time to converge, and says so.
    assert 'took 40 iterations and is still' in caplog.text


def test_one_cluster_on_a_side_takes_the_nearest():
    """All entries of the plan are equal there."""
    for kv, ki in ((1, 3), (3, 1), (1, 1)):
        visible, infrared = centroids(1, kv, ki)
        match, plan = optimal_transport_matching(visible, infrared)
        np.testing.assert_allclose(plan, 1 / (kv * ki))
        cosines = np.array([[cosine(v, i) for i in infrared] for v in visible])
        np.testing.assert_array_equal(match.visible_to_infrared, cosines.argmax(1))
        np.testing.assert_array_equal(match.infrared_to_visible, cosines.argmax(0))


def test_hybrid_centroids_are_means_with_the_partner():
    visible, infrared = centroids(2, 3, 4)
    partner = np.array([2, 0, -1, 2])
    found = hybrid_centroids(visible, infrared, partner)
    for row, own, other in zip(found, infrared, partner):
        np.testing.assert_allclose(row, own if other < 0 else (own + visible[other]) / 2)


@pytest.mark.parametrize('options', [dict(reg=0), dict(tol=0), dict(max_iters=0)])
def test_settings_that_cannot_be_used(options):
    with pytest.raises(ValueError, match='needs reg and tol above 0 and max_iters'):
        optimal_transport_matching(*centroids(0, 2, 2), **options)


def test_nothing_to_match():
    with pytest.raises(ValueError, match='got 3 visible and 0 infrared'):
        optimal_transport_matching(np.eye(3), np.empty((0, 3)))
