"""Which images are clustered together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.clustering import GlobalClustering, IntraModalityClustering
from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet

#: The camera of an image; also tells which image it is.
CAMERAS = np.arange(100, 300)


@TASK_UTILS.register_module()
class ByFirstNumber:
    """The cluster of an image is its first feature; records what it was given."""

    def __init__(self, outlier=-1):
        self.outlier = outlier
        self.seen = []

    def __call__(self, features, modality=None, cameras=None):
        self.seen.append((features, modality, cameras))
        values = np.asarray(features[:, 0])
        labels = np.full(len(values), -1)
        kept = values != self.outlier
        labels[kept] = np.unique(values[kept], return_inverse=True)[1]
        return labels


def images(seed, num):
    """Images whose camera tells which image it is."""
    rng = np.random.default_rng(seed)
    features = torch.from_numpy(rng.integers(0, 4, (num, 3)).astype(np.float32))
    return ImageSet(dict(base=features), identity=np.full(num, -1), camera=CAMERAS[:num],
                    modality=rng.integers(0, 2, num), sample_idx=np.arange(num))


def partitions(ratio, given, key, outlier=-1):
    """The partitions of both branches, each from a generator of its own, and what was seen."""
    cfg = dict(type='ByFirstNumber', outlier=outlier)
    parts = (IntraModalityClustering(cfg, visible_ratio=ratio),
             GlobalClustering(cfg, visible_ratio=ratio))
    return parts, [part(given, np.random.default_rng(key), {}) for part in parts]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.sampled_from([0.2, 0.5, 1]))
def test_subsets_are_disjoint_and_complete(seed, num, ratio):
    given = images(seed, num)
    _, (intra, cross) = partitions(ratio, given, [7, seed, 3])
    visible = given.modality == 0
    assert intra.considered[~visible].all()
    assert cross.considered[~visible].all()
    first, second = (found.considered & visible for found in (intra, cross))
    if ratio == 1:
        assert first[visible].all()
        assert second[visible].all()
    else:
        assert not (first & second).any()
        assert first.sum() == int(visible.sum() * ratio)
    if ratio == 0.5:
        np.testing.assert_array_equal(first | second, visible)


def test_subsets_are_a_function_of_seed_and_epoch():
    given = images(0, 200)
    found = {key: partitions(0.5, given, [7, *key])[1][0].considered
             for key in ((0, 0), (0, 1), (1, 0))}
    again = partitions(0.5, given, [7, 0, 0])[1][0].considered
    np.testing.assert_array_equal(found[0, 0], again)
    assert not (found[0, 0] == found[0, 1]).all()
    assert not (found[0, 0] == found[1, 0]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.5, 1]), st.integers(-1, 1))
def test_labels_are_those_of_each_clustering(seed, num, ratio, outlier):
    """Same number, same cluster; no cluster of one modality has the number of another's."""
    given = images(seed, num)
    features, modality = given.descriptors['base'], given.modality
    parts, (intra, cross) = partitions(ratio, given, seed, outlier)
    for found in (intra, cross):
        assert found.labels.dtype == np.int64
        assert (found.labels[~found.considered] == -1).all()
        kept = found.labels[found.labels >= 0]
        assert set(kept.tolist()) == set(range(len(set(kept.tolist()))))  # without gaps
    first = features[:, 0].numpy()
    for i in range(num):
        for j in range(num):
            for found, separate in ((intra, True), (cross, False)):
                if found.labels[i] >= 0 and found.labels[j] >= 0:
                    same = first[i] == first[j] and (not separate or modality[i] == modality[j])
                    assert (found.labels[i] == found.labels[j]) == same
    rows = np.flatnonzero(cross.considered)
    (given_features, given_modality, given_cameras), = parts[1].clusterer.seen
    assert torch.equal(given_features, features[rows])
    np.testing.assert_array_equal(given_modality, modality[rows])
    np.testing.assert_array_equal(given_cameras, CAMERAS[rows])
    for clusterer in (parts[0].visible, parts[0].infrared):
        for given_features, _, given_cameras in clusterer.seen:
            assert torch.equal(given_features, features[given_cameras - CAMERAS[0]])


def test_each_modality_may_have_a_clusterer_of_its_own():
    part = IntraModalityClustering(dict(type='ByFirstNumber'),
                                   dict(type='ByFirstNumber', outlier=0))
    given = images(1, 30)
    found = part(given, np.random.default_rng(0))
    assert (found.labels[given.modality == 0] >= 0).all()
    assert (found.labels[given.modality == 1] == -1).any()


@pytest.mark.parametrize(('options', 'message'), [
    (dict(subset=2), 'subset must be 0 or 1'),
    (dict(visible_ratio=0.7), r'in \(0, 0.5\] or 1, got 0.7'),
    (dict(visible_ratio=0), r'in \(0, 0.5\] or 1, got 0'),
])
def test_shares_that_do_not_exist_are_refused(options, message):
    for kind in (IntraModalityClustering, GlobalClustering):
        with pytest.raises(ValueError, match=message):
            kind(dict(type='ByFirstNumber'), **options)
