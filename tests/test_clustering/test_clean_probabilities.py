"""Which labels a network finds easy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.clustering import clean_probabilities


def losses_of(seed, wrong=20, right=60):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0.5, 0.2, right), rng.normal(4, 0.8, wrong)]).clip(0.01)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100), st.floats(0.01, 100), st.floats(-10, 10))
def test_scale_and_origin_of_the_losses_play_no_part(seed, scale, shift):
    losses = losses_of(seed)
    found = clean_probabilities(losses)
    assert found.shape == losses.shape
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(clean_probabilities(scale * losses + shift), found, atol=1e-6)
    # Falling between the two means; beyond them the wider of the two bells may win.
    order = np.argsort(losses)
    between = order[(losses[order] > losses[:60].mean()) & (losses[order] < losses[60:].mean())]
    assert (np.diff(found[between]) <= 0).all()


def test_two_heaps_are_told_apart_in_each_view():
    views = np.stack([losses_of(0), 3 * losses_of(1) + 2])  # each is scaled by itself
    found = clean_probabilities(views)
    assert (found[:, :60] > 0.99).all()
    assert (found[:, 60:] < 0.01).all()
    np.testing.assert_array_equal(clean_probabilities(views), found)


@pytest.mark.parametrize('shape', [(7, ), (2, 5), (1, )])
def test_equal_losses_are_all_clean(shape):
    np.testing.assert_array_equal(clean_probabilities(np.full(shape, 3.2)), np.ones(shape))
