"""Labels calibrated by prototypes of reliable images (RPNR), against loops and by its promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.features import image_set
from reference.rpnr import naive_calibration

from mmvireid.clustering import (
    ModalityMemories,
    PrototypeCalibration,
    calibrate_labels,
    calibration,
    cluster_density,
)
from mmvireid.datasets import ClusterSampler


def case(seed, num_clusters, spread=1.5, outliers=3):
    """Clusters of one to seven images, some of them in the wrong one, and outliers."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_clusters), rng.integers(1, 8, num_clusters))
    features = (rng.standard_normal((num_clusters, 6))[labels]
                + spread * rng.standard_normal((len(labels), 6)))
    features = np.concatenate([features, rng.standard_normal((outliers, 6))])
    labels = np.append(labels, outliers * [-1])
    order = rng.permutation(len(labels))
    return (features[order] * rng.uniform(0.5, 2, (len(labels), 1))).astype(np.float32), labels[
        order]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 6), st.sampled_from([0, 0.5]))
def test_equals_loops(seed, num_clusters, num_reliable, threshold):
    features, labels = case(seed, num_clusters)
    expected, prototypes, density = naive_calibration(features, labels, num_reliable, threshold)
    found, means = calibrate_labels(
        features, torch.from_numpy(labels), num_reliable=num_reliable, threshold=threshold)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(means, prototypes, atol=1e-6)
    np.testing.assert_array_equal(
        cluster_density(features, labels, threshold=threshold), density)
    # Outliers stay outliers, and nobody else becomes one.
    np.testing.assert_array_equal(found == -1, labels == -1)
    assert found.max() < num_clusters


def test_a_large_cluster_is_compared_in_blocks(monkeypatch):
    features, labels = case(0, 3)
    density = cluster_density(features, labels)
    monkeypatch.setattr(calibration, 'BLOCK', 2)
    assert torch.equal(cluster_density(features, labels), density)


def test_clusters_smaller_than_the_number_of_reliable_images_use_all():
    features, labels = case(1, 4)
    _, prototypes = calibrate_labels(features, labels, num_reliable=100)
    np.testing.assert_allclose(
        prototypes, [features[labels == c].mean(0) for c in range(4)], atol=1e-6)


def test_well_separated_clusters_keep_their_labels():
    labels = np.array([0, 1, 2, 0, 1, 2, -1])
    rows = np.eye(3, dtype=np.float32)[labels] + 0.1
    assert calibrate_labels(rows, labels, num_reliable=1)[0].tolist() == labels.tolist()


def test_a_cluster_emptied_shifts_nobody_and_training_goes_on(caplog):
    """Image 4 alone is visible cluster 3, and looks like the images of cluster 2."""
    features = np.float32([[1, 0], [1, 0], [0, 1], [0, 1], [0.01, 1], [1, 0], [0, 1], [1, 1]])
    modality = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    clusters = np.array([2, 2, 5, 5, 7, 8, 9, -1])
    # Most of cluster 5 is one image, so its prototype is nearer to it than its own one is.
    features[4] = features[2]
    images = image_set(features, modality)
    labels = PrototypeCalibration()(images, clusters)
    assert labels.tolist() == [2, 2, 5, 5, 5, 8, 9, -1]
    assert 'all images of 1 of 3 visible clusters' in caplog.text
    assert 'infrared' not in caplog.text
    assert clusters.tolist() == [2, 2, 5, 5, 7, 8, 9, -1]

    # Number and centroids of the clusters stay those before the calibration.
    before, after = (ModalityMemories()(images, clusters, each) for each in (clusters, labels))
    for name, prototypes in before.prototypes.items():
        assert torch.equal(prototypes.centroids, after.prototypes[name].centroids)
    assert after.terms[0].targets.tolist() == [0, 0, 1, 1, 1, -1, -1, -1]

    class Dataset:
        modalities, cameras = modality, np.ones(8, int)

        def __len__(self):
            return 8

    sampler = ClusterSampler(Dataset(), ['all'], num_visible_clusters=3, num_infrared_clusters=2,
                             num_instances=2, num_steps=5, seed=0)
    sampler.set_labels(dict(all=after))
    drawn = [int(index) for index in sampler]
    assert len(drawn) == len(sampler)
    assert set(labels[drawn]) == {2, 5, 8, 9}


def test_one_modality_does_not_see_the_other():
    """An infrared image nearer to a visible cluster than to its own stays infrared."""
    features = np.float32([[1, 0], [1, 0], [0, 1], [0.6, 0.8], [0.6, 0.8], [0.7, 0.7]])
    modality, clusters = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 2, 2, 3])
    labels = PrototypeCalibration()(image_set(features, modality), clusters)
    assert labels.tolist() == clusters.tolist()
    # Nobody infrared is in a cluster: nothing to do there.
    clusters[3:] = -1
    assert PrototypeCalibration()(image_set(features, modality), clusters).tolist() == [
        0, 0, 1, -1, -1, -1]


@pytest.mark.parametrize(('labels', 'number', 'message'), [
    ([0, 2, 2], 1, 'without gaps, got clusters of'),
    ([-1, -1, -1], 1, 'without gaps, got clusters of'),
    ([0, 0], 1, r'3 features got labels of shape \(2,\)'),
    ([0, 0, 1], 0, 'num_reliable must be at least 1, got 0'),
])
def test_what_cannot_be_calibrated(labels, number, message):
    with pytest.raises(ValueError, match=message):
        calibrate_labels(np.eye(3), np.array(labels), num_reliable=number)
