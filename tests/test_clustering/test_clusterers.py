"""DBSCAN on the sparse distance, on all images and on subsets."""

import numpy as np
import pytest
import torch
from reference.features import people
from reference.k_reciprocal import naive_jaccard
from scipy import sparse
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score

from mmvireid.clustering import dbscan_labels, disjoint_subsets, jaccard_distance
from mmvireid.clustering.encoding import distinct_rows
from mmvireid.registry import TASK_UTILS


def build(aware=False, k1=12, **options):
    rule = 'BalancedNeighbors' if aware else 'PlainNeighbors'
    return TASK_UTILS.build(
        dict(type='JaccardDBSCAN', neighbors=dict(type=rule, k1=k1, k2=4), **options))


@pytest.mark.parametrize('aware', [False, True])
def test_labels_are_those_of_the_dense_distance(aware):
    features, modality, identity = people(0, num_ids=10, visible=9, infrared=9)
    labels = build(eps=0.55, aware=aware)(features, modality)
    dense = naive_jaccard(features, k1=12, k2=4, modality=modality if aware else None)
    expected = DBSCAN(eps=0.55, min_samples=4, metric='precomputed').fit_predict(dense)
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.int64
    assert labels.max() > 0


def test_modality_aware_clusters_hold_both_modalities():
    features, modality, identity = people(0, num_ids=10, visible=12, infrared=12, gap=1.5,
                                          noise=0.2, dim=64)
    aware = build(k1=16, eps=0.6, aware=True)(features, modality)
    plain = build(eps=0.6)(features)
    assert adjusted_rand_score(identity, aware) > 0.95
    mixed = [len(set(modality[plain == c])) == 2 for c in range(plain.max() + 1)]
    assert mixed
    assert not any(mixed)


def test_cutting_the_distance_at_eps_loses_nothing():
    features, modality, _ = people(2)
    whole = jaccard_distance(features, k1=12, k2=4, modality=modality)
    np.testing.assert_array_equal(
        build(eps=0.5, aware=True)(features, modality), dbscan_labels(whole, eps=0.5))


@pytest.mark.parametrize('aware', [False, True])
@pytest.mark.parametrize('min_samples', [2, 4, 9])
def test_equal_images_count_one_by_one(aware, min_samples):
    """They are one row of the distance, and as many neighbours as they are."""
    features, modality, _ = people(5, num_ids=8, visible=6, infrared=6)
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.arange(len(features)), rng.integers(len(features), size=60),
                           np.full(50, 7)])
    rows = rng.permutation(rows)
    features, modality = features[rows], modality[rows]
    whole = jaccard_distance(features, k1=12, k2=4, modality=modality if aware else None)
    expected = dbscan_labels(whole, eps=0.5, min_samples=min_samples)
    labels = build(eps=0.5, min_samples=min_samples, aware=aware)(features, modality)
    np.testing.assert_array_equal(labels, expected)
    assert labels.max() > 0


@pytest.mark.parametrize('aware', [False, True])
def test_a_collapsed_network_does_not_fill_the_memory(monkeypatch, aware):
    """All features equal: one cluster, and nothing of N x N on the way to it."""
    pairs = []

    def watched(distance, **options):
        pairs.append(distance.nnz)
        return dbscan_labels(distance, **options)

    monkeypatch.setattr('mmvireid.clustering.clusterers.dbscan_labels', watched)
    labels = build(aware=aware)(np.full((3000, 16), 0.25, np.float32),
                                         np.arange(3000) % 2)
    assert set(labels) == {0}
    assert pairs[0] < 10_000


def random_encoding(seed, kinds=6, rows=40, columns=30):
    """Rows of a few kinds, some of them alike but for one weight or one column."""
    rng = np.random.default_rng(seed)
    dense = rng.random((kinds, columns)).astype(np.float32)
    dense[rng.random(dense.shape) < 0.8] = 0
    dense[:, 0] = 0.5
    dense[1] = dense[0]
    dense[1, 0] = np.nextafter(np.float32(0.5), np.float32(1))
    dense[2] = np.roll(dense[0], 1)
    return sparse.csr_matrix(dense[rng.integers(kinds, size=rows)])


@pytest.mark.parametrize('seed', range(5))
def test_distinct_rows(monkeypatch, seed):
    encoding = random_encoding(seed)
    rows, kinds, counts = distinct_rows(encoding)
    unique, first, expected = np.unique(
        encoding.toarray(), axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    np.testing.assert_array_equal(rows, first[order])
    np.testing.assert_array_equal(counts, expected[order])
    np.testing.assert_array_equal(encoding[rows][kinds].toarray(), encoding.toarray())

    # Different rows with the same key are not taken for equal.
    monkeypatch.setattr('mmvireid.clustering.encoding._row_keys',
                        lambda encoding: np.zeros(encoding.shape[0], np.uint64))
    rows, kinds, counts = distinct_rows(encoding)
    np.testing.assert_array_equal(rows, np.arange(40))
    np.testing.assert_array_equal(kinds, np.arange(40))
    assert (counts == 1).all()


def test_images_outside_of_the_subset_get_no_label():
    features, modality, _ = people(3, num_ids=10, visible=9)
    subset = np.flatnonzero(np.arange(len(features)) % 3 != 1)
    features = torch.from_numpy(features)
    labels = build(eps=0.6, aware=True)(features, modality, subset)
    np.testing.assert_array_equal(
        labels[subset], build(eps=0.6, aware=True)(features[subset], modality[subset]))
    assert (labels[np.setdiff1d(np.arange(len(features)), subset)] == -1).all()


def test_few_images_are_mentioned_once_and_not_in_each_epoch(caplog):
    features, modality, _ = people(4, num_ids=3, visible=8, infrared=1)
    cluster = build(aware=True)
    for _ in range(3):
        cluster(features, modality)
    record, = (r for r in caplog.records if r.name.startswith('mmvireid'))
    assert 'infrared modality has only 3 images where 6' in record.getMessage()


@pytest.mark.parametrize(('num', 'ratio'), [(10, 0.5), (11, 0.5), (10, 0.3), (7, 1)])
def test_subsets(num, ratio):
    first, second = disjoint_subsets(num, ratio, np.random.default_rng(0))
    again = disjoint_subsets(num, ratio, np.random.default_rng(0))
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    if ratio == 1:
        assert len(first) == len(second) == num
    else:
        assert len(first) == int(num * ratio)
        assert not set(first) & set(second)
    if ratio == 0.5:
        np.testing.assert_array_equal(np.union1d(first, second), np.arange(num))


def test_rejects_bad_input():
    with pytest.raises(ValueError, match=r'BalancedNeighbors needs modality of shape \(4,\)'):
        build(aware=True)(np.eye(4))
    with pytest.raises(ValueError, match=r'ratio must be in \(0, 0.5\] or 1, got 0.7'):
        disjoint_subsets(10, 0.7, np.random.default_rng(0))
