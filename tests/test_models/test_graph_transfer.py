"""Feature transfer at test time, without the dense affinity."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmvireid.models import CIFTHead, GraphTransfer, transfer_affinity, transfer_features
from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet, Modality, RetrievalResult


def unit(x):
    return torch.nn.functional.normalize(x)


def image_set(features, modality, names=('base', 'r2i', 'i2r')):
    n = len(features)
    return ImageSet(
        descriptors=dict.fromkeys(names, features),
        identity=np.arange(n),
        camera=np.ones(n, dtype=np.int64),
        modality=np.full(n, int(modality)),
        sample_idx=np.arange(n))


def retrieval(query, gallery, query_modality, **options):
    return RetrievalResult.from_descriptors(
        image_set(query, query_modality, **options),
        image_set(gallery, 1 - query_modality, **options))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), num_query=st.integers(0, 9), num_gallery=st.integers(1, 12),
       num_neighbors=st.integers(1, 6), block_size=st.sampled_from([None, 1, 3, 100]),
       tau=st.floats(0.1, 1))
def test_equals_masked_matrix(seed, num_query, num_gallery, num_neighbors, block_size, tau):
    generator = torch.Generator().manual_seed(seed)
    gallery = torch.randn(num_gallery, 7, generator=generator)
    query = torch.randn(num_query, 7, generator=generator)
    graph = {'tau_het': tau, 'tau_hom': 1.1 - tau, 'num_neighbors': num_neighbors}
    query_out, gallery_out = transfer_features(query, gallery, block_size=block_size, **graph)
    nodes = torch.cat([gallery, query]).double()
    is_query = torch.arange(len(nodes)) >= num_gallery
    expected = transfer_affinity(nodes, is_query, **graph) @ nodes
    torch.testing.assert_close(
        torch.cat([gallery_out, query_out]).double(), expected, atol=1e-5, rtol=1e-5)


def test_gallery_of_copies():
    """Every similarity ties: the outcome is that image."""
    gallery = unit(torch.ones(6, 3))
    query_out, gallery_out = transfer_features(gallery[:2], gallery)
    torch.testing.assert_close(query_out, gallery[:2])
    torch.testing.assert_close(gallery_out, gallery)


def test_direction_follows_the_queries():
    generator = torch.Generator().manual_seed(0)
    features = {name: unit(torch.randn(9, 5, generator=generator))
                for name in ('base', 'r2i', 'i2r')}

    def images(rows, modality):
        plain = image_set(features['base'][rows], modality)
        return ImageSet(**{**plain.__dict__,
                           'descriptors': {n: f[rows] for n, f in features.items()}})

    for modality, name in ((Modality.INFRARED, 'i2r'), (Modality.VISIBLE, 'r2i')):
        result = RetrievalResult.from_descriptors(
            images(slice(0, 3), modality), images(slice(3, 9), 1 - modality))
        out = GraphTransfer(tau_het=0.5)(result)
        query, gallery = transfer_features(
            features[name][:3], features[name][3:], tau_het=0.5)
        torch.testing.assert_close(out.distance, 1 - unit(query) @ unit(gallery).T)
        assert out.query is result.query
        assert not torch.equal(out.distance, result.distance)


def test_registered():
    transfer = TASK_UTILS.build({'type': 'GraphTransfer', 'tau_het': 0.3})
    assert transfer.graph['tau_het'] == 0.3


def test_mixed_queries():
    mixed = image_set(unit(torch.randn(4, 3)), 0)
    mixed = ImageSet(**{**mixed.__dict__, 'modality': np.array([0, 0, 1, 1])})
    result = RetrievalResult.from_descriptors(mixed, image_set(unit(torch.randn(5, 3)), 0))
    with pytest.raises(ValueError, match='one modality.*visible.*infrared'):
        GraphTransfer()(result)


def test_missing_descriptor():
    query, gallery = unit(torch.randn(3, 4)), unit(torch.randn(5, 4))
    result = retrieval(query, gallery, Modality.INFRARED, names=('base', ))
    with pytest.raises(KeyError, match='i2r'):
        GraphTransfer()(result)


def test_settings_are_those_of_the_head(repo_root):
    """Nothing carries them from the model, so defaults and configs must agree."""
    graph = CIFTHead(4, 8, noise='shared').graph
    assert GraphTransfer().graph == graph
    configs = [Config.fromfile(path) for path in (repo_root / 'configs' / 'cift').glob('*.py')]
    heads = [cfg.model.head for cfg in configs if cfg.model.head.type == 'CIFTHead']
    assert heads
    for cfg in configs:
        transfers = [post for ranking in cfg.rankings.values() for post in ranking.get('post', ())
                     if post.type == 'GraphTransfer']
        assert transfers
        for post in transfers:
            assert GraphTransfer(**{k: v for k, v in post.items() if k != 'type'}).graph == {
                name: cfg.model.head.get(name, value) for name, value in graph.items()}
