"""Camera-aware neighbours against a naive float64 version, and what they are good for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.features import filmed, people
from reference.k_reciprocal import naive_camera_jaccard
from sklearn.metrics import adjusted_rand_score

from mmvireid.clustering import (
    CameraNeighbors,
    IntraModalityClustering,
    JaccardDBSCAN,
    jaccard_distance,
)
from mmvireid.search import self_search
from mmvireid.structures import ImageSet

TOLERANCE = 5e-6


def dense(distance):
    """Fill what is not stored with 1."""
    full = np.ones(distance.shape, dtype=np.float32)
    entries = distance.tocoo()
    full[entries.row, entries.col] = entries.data
    return full


@pytest.mark.filterwarnings('ignore:.*has only')
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), num_cameras=st.integers(1, 4), images=st.integers(1, 4),
       options=st.fixed_dictionaries({
           'k1_intra': st.integers(1, 6), 'k1_inter': st.integers(1, 21),
           'k2_intra': st.integers(1, 4), 'k2_inter': st.integers(0, 6)}))
def test_agrees_with_naive_version(seed, num_cameras, images, options):
    features, cameras, _ = filmed(seed, num_cameras, images)
    # Products without rounding: equal scores are equal in float32 too, ranked by index.
    features = np.round(64 * features) / 64
    distance = jaccard_distance(features, cameras=cameras, **options)
    np.testing.assert_allclose(
        dense(distance), naive_camera_jaccard(features, cameras, **options), rtol=0,
        atol=TOLERANCE)
    assert distance.has_canonical_format
    assert not distance.diagonal().any()


@pytest.mark.parametrize('search', ['float32', 'bfloat16', 'faiss'])
def test_every_search(search, monkeypatch):
    monkeypatch.setattr(self_search, 'SYMMETRY_FROM', 2)
    monkeypatch.setattr(self_search, 'BLOCK', 16)
    monkeypatch.setattr(self_search, 'multiplies_bfloat16', lambda: search == 'bfloat16')
    features, cameras, _ = filmed(1, images=6)
    # Defaults, and cameras by any names.
    distance = jaccard_distance(torch.from_numpy(features), cameras=torch.from_numpy(cameras + 7),
                                backend='faiss' if search == 'faiss' else 'torch')
    np.testing.assert_allclose(
        dense(distance), naive_camera_jaccard(features, cameras), rtol=0, atol=TOLERANCE)
    cut = jaccard_distance(features, cameras=cameras, max_distance=0.5)
    assert 0 < cut.nnz == (distance.data <= 0.5).sum()


def test_one_camera_is_taken_as_it_is_and_warned_of():
    features = people(0)[0]
    with pytest.warns(UserWarning, match='outside of camera 5 has only 0 images where 21') as seen:
        distance = jaccard_distance(features, cameras=np.full(len(features), 5))
    assert seen[0].filename == __file__
    np.testing.assert_allclose(
        dense(distance), naive_camera_jaccard(features, np.zeros(len(features))), atol=TOLERANCE)


def test_links_cameras_where_the_plain_distance_does_not():
    features, cameras, identity = filmed(0, images=8, num_ids=12, shift=1.5, dim=64)
    plain = dense(jaccard_distance(features, k1=16, k2=4))
    aware = dense(jaccard_distance(features, cameras=cameras))
    across = (identity[:, None] == identity) & (cameras[:, None] != cameras)
    assert plain[across].mean() > 0.9
    assert aware[across].mean() < 0.5
    found = JaccardDBSCAN(eps=0.6, neighbors=CameraNeighbors())(features, cameras=cameras)
    assert adjusted_rand_score(identity, found) > 0.95


def test_each_modality_by_itself():
    """As a config names it: cameras reach the clusterer of each modality."""
    features, modality, _ = people(3, num_ids=10, visible=8, infrared=6)
    cameras = 2 * modality + np.arange(len(features)) % 2
    rule = dict(type='CameraNeighbors', k1_intra=3, k1_inter=4)
    aware = dict(type='JaccardDBSCAN', eps=0.7, neighbors=rule)
    num = len(features)
    images = ImageSet(dict(base=torch.from_numpy(features)), identity=np.full(num, -1),
                      camera=cameras, modality=modality, sample_idx=np.arange(num))
    found = IntraModalityClustering(aware)(images, np.random.default_rng(0))
    first = 0
    for value in (0, 1):
        rows = modality == value
        own = JaccardDBSCAN(eps=0.7, neighbors=rule)(features[rows], cameras=cameras[rows])
        assert own.max() > 0
        np.testing.assert_array_equal(found.labels[rows], np.where(own >= 0, own + first, -1))
        first = own.max() + 1


def test_rejects_bad_input():
    features, cameras, _ = filmed(0)
    with pytest.raises(ValueError, match='give modality or cameras'):
        jaccard_distance(features, cameras=cameras, modality=np.zeros(len(features), int))
    with pytest.raises(ValueError, match=r'cameras must be of shape \(96,\), got \(95,\)'):
        jaccard_distance(features, cameras=cameras[1:])
    for options in ({'k1_intra': 0}, {'k1_inter': 0}, {'k2_intra': 0}, {'k2_inter': -1}):
        with pytest.raises(ValueError, match='must be at least 1'):
            jaccard_distance(features, cameras=cameras, **options)
    with pytest.raises(ValueError, match='CameraNeighbors needs cameras'):
        JaccardDBSCAN(neighbors=CameraNeighbors())(features)
