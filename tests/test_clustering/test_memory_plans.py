"""The prototypes that clusters start with."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.clustering import (
    ClusterMatch,
    ModalityMemories,
    SharedMemory,
    SplitMemory,
    join_matched,
)
from mmvireid.structures import ImageSet


def case(seed, num, num_clusters):
    """Features, labels without gaps and modalities."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, num_clusters, num)
    found = sorted(set(labels[labels >= 0].tolist()))
    labels = np.array([found.index(x) if x >= 0 else -1 for x in labels.tolist()], np.int64)
    return rng.standard_normal((num, 3)), labels, rng.integers(0, 2, num)


def naive_plan(features, keys):
    """Mean of the images of each key, in ascending order; None is no key."""
    names = sorted({key for key in keys if key is not None})
    means = [np.mean([f for f, key in zip(features, keys) if key == name], axis=0)
             for name in names]
    return names, means, [names.index(key) if key is not None else -1 for key in keys]


def image_set(features, modality):
    num = len(modality)
    return ImageSet(dict(base=torch.from_numpy(features)), identity=np.full(num, -1),
                    camera=np.ones(num, int), modality=modality, sample_idx=np.arange(num))


def check(prototypes, targets, features, keys):
    names, means, expected = naive_plan(features, keys)
    assert targets.dtype == torch.int64
    assert targets.tolist() == expected
    assert prototypes.centroids.shape == (len(names), 3)
    for row, mean in zip(prototypes.centroids.numpy(), means):
        np.testing.assert_allclose(row, mean, atol=1e-12)
    return names


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 6))
def test_plans_equal_naive_means(seed, num, num_clusters):
    features, labels, modality = case(seed, num, num_clusters)
    images = image_set(features, modality)
    given_labels = labels.copy()

    found = ModalityMemories()(images, labels, labels)
    assert [term.memory for term in found.terms] == ['visible', 'infrared']
    for value, term in enumerate(found.terms):
        assert term.loss == term.memory
        names = check(found.prototypes[term.memory], term.targets, features, [
            k if k >= 0 and m == value else None
            for k, m in zip(labels.tolist(), modality.tolist())])
        assert found.prototypes[term.memory].num_clusters == len(names)

    found = SharedMemory()(images, labels, labels)
    term, = found.terms
    names = check(found.prototypes['shared'], term.targets, features,
                  [k if k >= 0 else None for k in labels.tolist()])
    assert found.prototypes['shared'].num_clusters == len(names)

    found = SplitMemory()(images, labels, labels)
    assert [term.loss for term in found.terms] == ['visible', 'infrared']
    for value, term in enumerate(found.terms):
        assert (term.targets[modality != value] == -1).all()
    targets = torch.maximum(*(term.targets for term in found.terms))
    names = check(found.prototypes['split'], targets, features, [
        (k, m) if k >= 0 else None for k, m in zip(labels.tolist(), modality.tolist())])
    assert found.prototypes['split'].groups.tolist() == [cluster for cluster, _ in names]
    assert found.prototypes['split'].num_clusters == len({cluster for cluster, _ in names})
    np.testing.assert_array_equal(labels, given_labels)


def test_refined_labels_change_targets_and_not_prototypes():
    """A cluster that loses all its images keeps its prototype, and nobody's number shifts."""
    modality = np.array([0, 0, 0, 1, 1])
    clusters, labels = np.array([0, 1, 2, 3, 4]), np.array([0, 2, 2, 4, 4])
    features = np.arange(15.0).reshape(5, 3)
    found = ModalityMemories()(image_set(features, modality), clusters, labels)
    visible, infrared = found.terms
    assert visible.targets.tolist() == [0, 2, 2, -1, -1]
    assert infrared.targets.tolist() == [-1, -1, -1, 1, 1]
    np.testing.assert_array_equal(found.prototypes['visible'].centroids, features[:3])
    np.testing.assert_array_equal(found.prototypes['infrared'].centroids, features[3:])
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.clusters, clusters)
    with pytest.raises(ValueError, match='label 1, which is no cluster of their modality'):
        ModalityMemories()(image_set(features, modality), clusters, np.array([0, 1, 2, 3, 1]))


def test_matched_clusters_share_a_prototype():
    modality = np.array([0, 0, 0, 0, 1, 1, 0])
    clusters = np.array([0, 0, 1, 2, 3, 4, -1])
    features = np.arange(21.0).reshape(7, 3)
    # Visible 0 and 2 go to the second infrared cluster, visible 1 to nobody.
    match = ClusterMatch(np.array([1, -1, 1]), np.array([0, 2]))
    found = SharedMemory()(image_set(features, modality), clusters, clusters, match)
    # 0: visible 1, 1: first infrared, 2: second infrared with visible 0 and 2.
    expected = [2, 2, 0, 2, 1, 2, -1]
    assert found.terms[0].targets.tolist() == expected == found.labels.tolist()
    np.testing.assert_array_equal(found.prototypes['shared'].centroids, [
        features[2], features[4], features[[0, 1, 3, 5]].mean(0)])
    np.testing.assert_array_equal(found.clusters, clusters)
    # A refinement has taken image 0 for visible 1.
    labels = np.array([1, 0, 1, 2, 3, 4, -1])
    found = SharedMemory()(image_set(features, modality), clusters, labels, match)
    assert found.labels.tolist() == [0, 2, 0, 2, 1, 2, -1]


def test_the_modality_with_more_clusters_chooses_what_is_joined():
    modality, clusters = np.array([0, 1, 1, 1, 0, 1]), np.array([0, 1, 2, 3, 4, -1])
    match = ClusterMatch(np.array([1, 0]), np.array([1, 0, 0]))
    assert join_matched(clusters, modality, match).tolist() == [0, 1, 0, 0, 1, -1]
    labels = np.array([0, 2, 1, 3, 4, -1])
    assert join_matched(clusters, modality, match, labels).tolist() == [0, 0, 1, 0, 1, -1]


@pytest.mark.parametrize(('visible', 'infrared'), [([0, 2], [0, 1]), ([-2, 0], [0])])
def test_partners_that_do_not_exist_are_refused(visible, infrared):
    with pytest.raises(ValueError, match='partners of visible clusters'):
        ClusterMatch(np.array(visible), np.array(infrared))
