"""The sparse Jaccard distance against a naive float64 version."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.features import people
from reference.k_reciprocal import naive_jaccard
from scipy import sparse
from sklearn.cluster import DBSCAN

from mmvireid.clustering import jaccard_distance

TOLERANCE = 5e-6


def dense(distance: sparse.csr_matrix) -> np.ndarray:
    """Fill what is not stored with 1."""
    full = np.ones(distance.shape, dtype=np.float32)
    entries = distance.tocoo()
    full[entries.row, entries.col] = entries.data
    return full


@pytest.mark.parametrize('options', [
    {}, {'aware': True}, {'aware': True, 'expansion': 'split'},
    {'aware': True, 'expansion': 'reweighted'}, {'aware': True, 'half_list': 'balanced'},
    {'aware': True, 'k2': 1}, {'aware': True, 'k1': 7}, {'k1': 7}
])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), unit=st.booleans())
def test_variants_agree_with_naive_version(options, seed, unit):
    features, modality, _ = people(seed, unit=unit)
    options = {'k1': 10, 'k2': 4} | options
    if options.pop('aware', False):
        options['modality'] = modality
    np.testing.assert_allclose(
        dense(jaccard_distance(features, **options)), naive_jaccard(features, **options),
        rtol=0, atol=TOLERANCE)


def test_variants_differ():
    # An option that changed nothing would pass every comparison with itself.
    features, modality, _ = people(1)
    results = [
        dense(jaccard_distance(features, k1=10, k2=4, modality=modality, **options))
        for options in ({}, {'expansion': 'split'}, {'expansion': 'reweighted'},
                        {'half_list': 'balanced'})
    ] + [dense(jaccard_distance(features, k1=10, k2=4))]
    for a in range(len(results)):
        for b in range(a):
            assert np.abs(results[a] - results[b]).max() > 0.01


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), limit=st.floats(0.05, 1), aware=st.booleans())
def test_form_of_the_matrix(seed, limit, aware):
    features, modality, _ = people(seed, gap=1.0)
    options = {'k1': 8, 'k2': 3, 'modality': modality if aware else None}
    distance = jaccard_distance(features, max_distance=limit, **options)
    assert isinstance(distance, sparse.csr_matrix)
    assert distance.dtype == np.float32
    assert distance.has_canonical_format
    assert (distance != distance.T).nnz == 0
    assert distance.data.min() >= 0
    assert distance.data.max() <= limit
    assert distance.data.max() < 1
    # The diagonal is stored, as zeros.
    rows = np.repeat(np.arange(len(features)), np.diff(distance.indptr))
    np.testing.assert_array_equal(distance.indices[distance.indices == rows],
                                  np.arange(len(features)))
    assert not distance.diagonal().any()
    # Every pair of the unlimited matrix within the limit is there.
    whole = jaccard_distance(features, **options)
    assert distance.nnz == int((whole.data <= np.float32(limit)).sum())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_of_images_does_not_matter(seed):
    features, modality, _ = people(seed)
    order = np.random.default_rng(seed).permutation(len(features))
    for aware in (False, True):
        before = dense(jaccard_distance(features, k1=10, k2=4,
                                        modality=modality if aware else None))
        after = dense(jaccard_distance(features[order], k1=10, k2=4,
                                       modality=modality[order] if aware else None))
        np.testing.assert_allclose(after, before[np.ix_(order, order)], atol=1e-6)


def test_aware_distance_links_modalities_where_plain_does_not():
    features, modality, identity = people(0, visible=12, infrared=12, gap=4.0, noise=0.2, dim=64)
    plain = dense(jaccard_distance(features, k1=12, k2=4))
    aware = dense(jaccard_distance(features, k1=24, k2=4, modality=modality))
    same = (identity[:, None] == identity) & (modality[:, None] != modality)
    other = (identity[:, None] != identity)
    assert plain[same].min() == 1
    assert aware[same].mean() < 0.2
    assert aware[other].mean() > 0.9


def test_torch_numpy_and_precisions():
    features, modality, _ = people(3)
    expected = jaccard_distance(features, k1=10, k2=4, modality=modality)
    for given_features in (torch.from_numpy(features), torch.from_numpy(features).double(),
                           features.astype(np.float64), np.asfortranarray(features)):
        distance = jaccard_distance(given_features, k1=10, k2=4,
                                    modality=torch.from_numpy(modality))
        assert (distance != expected).nnz == 0


def test_few_infrared_images_give_what_exists_and_warn_once():
    features, modality, _ = people(4, num_ids=3, visible=8, infrared=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('default')
        for _ in range(2):
            distance = jaccard_distance(features, k1=12, k2=4, modality=modality)
    assert len(caught) == 1
    assert 'infrared modality has only 3 images where 6' in str(caught[0].message)
    assert caught[0].filename == __file__
    np.testing.assert_allclose(
        dense(distance), naive_jaccard(features, k1=12, k2=4, modality=modality), atol=TOLERANCE)


@pytest.mark.parametrize('num', [1, 2, 5])
@pytest.mark.parametrize('aware', [False, True])
@pytest.mark.filterwarnings('ignore:.*has only')
def test_few_images(num, aware):
    features = people(5)[0][:num]
    modality = np.zeros(num, dtype=int) if aware else None
    distance = jaccard_distance(features, modality=modality)
    np.testing.assert_allclose(
        dense(distance), naive_jaccard(features, modality=modality), atol=TOLERANCE)


def test_more_equal_images_than_neighbours():
    features = np.repeat(people(6, num_ids=2, visible=1, infrared=0)[0], 40, axis=0)
    distance = jaccard_distance(features, k1=6, k2=3)
    labels = DBSCAN(eps=0.5, min_samples=4, metric='precomputed').fit_predict(distance)
    np.testing.assert_array_equal(labels, np.repeat([0, 1], 40))


def test_same_result_on_every_run():
    features, modality, _ = people(8, num_ids=20)
    first, second = (jaccard_distance(features, modality=modality) for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.data, second.data)


def test_many_batches_of_rows(monkeypatch):
    features, modality, _ = people(9)
    expected = jaccard_distance(features, modality=modality, k1=10)
    monkeypatch.setattr('mmvireid.clustering.jaccard.BATCH_PAIRS', 50)
    assert (jaccard_distance(features, modality=modality, k1=10) != expected).nnz == 0


def test_rejects_bad_input():
    features, modality, _ = people(0)
    with pytest.raises(ValueError, match='no features'):
        jaccard_distance(features[:0])
    with pytest.raises(ValueError, match='k1 must be'):
        jaccard_distance(features, k1=1)
    with pytest.raises(ValueError, match='unknown expansion "none"'):
        jaccard_distance(features, modality=modality, expansion='none')
    with pytest.raises(ValueError, match='half_list must be'):
        jaccard_distance(features, modality=modality, half_list='third')
    with pytest.raises(ValueError, match='modality must be of shape'):
        jaccard_distance(features, modality=modality[1:])
    with pytest.raises(ValueError, match='modality must be 0'):
        jaccard_distance(features, modality=modality + 1)
    features[3, 2] = np.nan
    with pytest.raises(ValueError, match='features holds NaN'):
        jaccard_distance(features)
