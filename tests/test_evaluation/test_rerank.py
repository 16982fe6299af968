"""k-reciprocal re-ranking against a naive float64 version."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.features import people
from reference.k_reciprocal import naive_rerank

from mmvireid.evaluation import k_reciprocal_rerank, rank_metrics


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), k1=st.integers(2, 12), k2=st.integers(1, 6))
def test_agrees_with_naive_version(seed, k1, k2):
    features, modality, _ = people(seed)
    query, gallery = features[modality == 1], features[modality == 0]
    np.testing.assert_allclose(
        k_reciprocal_rerank(query, gallery, k1=k1, k2=k2),
        naive_rerank(query, gallery, k1, k2), rtol=0, atol=1e-5)


def test_torch_in_torch_out():
    features, modality, _ = people(1)
    query, gallery = features[modality == 1], features[modality == 0]
    result = k_reciprocal_rerank(torch.from_numpy(query), torch.from_numpy(gallery))
    assert isinstance(result, torch.Tensor)
    np.testing.assert_array_equal(result.numpy(), k_reciprocal_rerank(query, gallery))


def test_inputs_stay_as_they_are():
    features, modality, _ = people(2)
    before = features.copy()
    k_reciprocal_rerank(features[modality == 1], features[modality == 0])
    np.testing.assert_array_equal(features, before)


def test_lambda_one_is_the_distance_of_each_query():
    features, modality, _ = people(3)
    query, gallery = features[modality == 1], features[modality == 0]
    distance = 2 - 2 * query @ gallery.T
    largest = (2 - 2 * query @ features.T).max(1, keepdims=True)
    np.testing.assert_allclose(
        k_reciprocal_rerank(query, gallery, lambda_value=1), distance / largest, atol=1e-6)


def test_re_ranking_helps_where_neighbourhoods_are_clean():
    features, modality, identity = people(4, num_ids=12, visible=8, infrared=8, noise=0.9)
    query, gallery = modality == 1, modality == 0
    ids = identity[query], identity[gallery]
    before = rank_metrics(-features[query] @ features[gallery].T, *ids, protocol='regdb')
    after = rank_metrics(
        k_reciprocal_rerank(features[query], features[gallery], k1=8, k2=4), *ids,
        protocol='regdb')
    assert after.mAP > before.mAP + 0.02


def test_small_and_equal_sets():
    query = np.eye(4, dtype=np.float32)[:1]
    same = k_reciprocal_rerank(query, np.repeat(query, 3, axis=0))
    np.testing.assert_allclose(same, same[:, :1].repeat(3, 1), atol=1e-6)
    single = k_reciprocal_rerank(query, np.eye(4, dtype=np.float32)[1:2])
    assert single.shape == (1, 1)
    assert np.isfinite(single).all()


def test_rejects_bad_input():
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match='unit length; one deviates by 1'):
        k_reciprocal_rerank(2 * rows, rows)
    with pytest.raises(ValueError, match='lambda_value'):
        k_reciprocal_rerank(rows, rows, lambda_value=1.5)
    with pytest.raises(ValueError, match='k1 and k2'):
        k_reciprocal_rerank(rows, rows, k1=0)
    with pytest.raises(ValueError, match='nothing to rank: 3 queries, 0 gallery'):
        k_reciprocal_rerank(rows, rows[:0])
