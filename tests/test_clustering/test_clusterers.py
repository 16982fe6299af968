"""DBSCAN on the sparse distance, on all images and on subsets."""

import numpy as np
import pytest
import torch
from reference.features import people
from reference.k_reciprocal import naive_jaccard
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score

from mmvireid.clustering import dbscan_labels, disjoint_subsets, jaccard_distance
from mmvireid.registry import TASK_UTILS


def build(**options):
    return TASK_UTILS.build({'type': 'JaccardDBSCAN', 'k1': 12, 'k2': 4, **options})


@pytest.mark.parametrize('aware', [False, True])
def test_labels_are_those_of_the_dense_distance(aware):
    features, modality, identity = people(0, num_ids=10, visible=9, infrared=9)
    labels = build(eps=0.55, modality_aware=aware)(features, modality)
    dense = naive_jaccard(features, k1=12, k2=4, modality=modality if aware else None)
    expected = DBSCAN(eps=0.55, min_samples=4, metric='precomputed').fit_predict(dense)
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.int64
    assert labels.max() > 0


def test_modality_aware_clusters_hold_both_modalities():
    features, modality, identity = people(0, num_ids=10, visible=12, infrared=12, gap=1.5,
                                          noise=0.2, dim=64)
    aware = build(k1=16, eps=0.6, modality_aware=True)(features, modality)
    plain = build(eps=0.6)(features)
    assert adjusted_rand_score(identity, aware) > 0.95
    mixed = [len(set(modality[plain == c])) == 2 for c in range(plain.max() + 1)]
    assert mixed
    assert not any(mixed)


def test_cutting_the_distance_at_eps_loses_nothing():
    features, modality, _ = people(2)
    whole = jaccard_distance(features, k1=12, k2=4, modality=modality)
    np.testing.assert_array_equal(
        build(eps=0.5, modality_aware=True)(features, modality), dbscan_labels(whole, eps=0.5))


def test_images_outside_of_the_subset_get_no_label():
    features, modality, _ = people(3, num_ids=10, visible=9)
    subset = np.flatnonzero(np.arange(len(features)) % 3 != 1)
    features = torch.from_numpy(features)
    labels = build(eps=0.6, modality_aware=True)(features, modality, subset)
    np.testing.assert_array_equal(
        labels[subset], build(eps=0.6, modality_aware=True)(features[subset], modality[subset]))
    assert (labels[np.setdiff1d(np.arange(len(features)), subset)] == -1).all()


def test_few_images_are_mentioned_once_and_not_in_each_epoch(caplog):
    features, modality, _ = people(4, num_ids=3, visible=8, infrared=1)
    cluster = build(modality_aware=True)
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
    with pytest.raises(ValueError, match='needs the modality'):
        build(modality_aware=True)(np.eye(4))
    with pytest.raises(ValueError, match=r'ratio must be in \(0, 0.5\] or 1, got 0.7'):
        disjoint_subsets(10, 0.7, np.random.default_rng(0))
