"""Feature transfer at test time, without the dense affinity."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.config import load_config
from mmvireid.evaluation import Ranking, build_rankings
from mmvireid.models import CIFTHead, GraphTransfer, transfer_affinity, transfer_features
from mmvireid.registry import METRICS, MODELS
from mmvireid.structures import ImageSet, Modality
from mmvireid.utils.errors import EvaluationError


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


def distance_of(query, gallery, query_modality, **options):
    ranking = Ranking('cift', GraphTransfer())
    gallery = ranking.prepare(image_set(gallery, 1 - query_modality, **options))
    return gallery.rank(image_set(query, query_modality, **options)).distance


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

    graph = dict(tau_het=0.5, num_neighbors=3)
    entry = dict(scorer=dict(type='GraphTransfer', graph=graph))
    ranking = build_rankings(dict(cift=entry))['cift']
    assert ranking.label == 'cift (whole gallery)'
    assert not ranking.transductive
    assert ranking.descriptors == {'r2i', 'i2r'}
    for modality, name in ((Modality.INFRARED, 'i2r'), (Modality.VISIBLE, 'r2i')):
        prepared = ranking.prepare(images(slice(3, 9), 1 - modality))
        queries = images(slice(0, 3), modality)
        result = prepared.rank(queries)
        query, gallery = transfer_features(features[name][:3], features[name][3:], **graph)
        torch.testing.assert_close(result.distance, 1 - unit(query) @ unit(gallery).T)
        assert result.descriptor == name
        assert result.query is queries
        # A search does not form the whole matrix, and answers each query by itself.
        found = prepared.nearest(queries[1:2], 6)
        torch.testing.assert_close(found.distance[0], result.distance[1].sort()[0])


def test_the_graph_of_some_images_is_that_of_the_ranking():
    generator = torch.Generator().manual_seed(0)
    features = unit(torch.randn(9, 5, generator=generator))
    images = image_set(features, 0)
    images = ImageSet(**{**images.__dict__, 'modality': np.arange(9) % 2})
    graph = dict(tau_het=0.5, tau_hom=0.3, num_neighbors=3)
    ranking = Ranking('cift', GraphTransfer(graph))
    torch.testing.assert_close(
        ranking.affinity(images, Modality.INFRARED),
        transfer_affinity(features, torch.arange(9) % 2 == 1, **graph))
    with pytest.raises(EvaluationError, match='has no graph'):
        build_rankings()['base'].affinity(images, Modality.INFRARED)


def test_mixed_queries():
    mixed = image_set(unit(torch.randn(4, 3)), 0)
    mixed = ImageSet(**{**mixed.__dict__, 'modality': np.array([0, 0, 1, 1])})
    with pytest.raises(ValueError, match='visible and infrared'):
        Ranking('cift', GraphTransfer()).prepare(image_set(unit(torch.randn(5, 3)), 0)).rank(mixed)


def test_missing_descriptor():
    query, gallery = unit(torch.randn(3, 4)), unit(torch.randn(5, 4))
    with pytest.raises(EvaluationError, match='needs the descriptor "i2r", but there is base'):
        distance_of(query, gallery, Modality.INFRARED, names=('base', ))


def test_settings_are_those_of_the_head(repo_root):
    """They are written once, and a command line changes them for both."""
    assert GraphTransfer().graph == CIFTHead(4, 8, noise='shared').graph
    configs = [path for path in (repo_root / 'configs' / 'cift').glob('*.py')
               if 'wo-graph' not in path.name]
    for path in configs:
        for options in ({}, {'model.head.graph.tau_hom': 0.7}):
            cfg = load_config(path, options)
            scorer = METRICS.build(cfg.test_evaluator).rankings['cift'].scorer
            assert scorer.graph == MODELS.build(cfg.model.head).graph
            assert scorer.graph['tau_hom'] == options.get('model.head.graph.tau_hom', 0.4)
    for part in (GraphTransfer, lambda graph: CIFTHead(4, 8, graph=graph)):
        with pytest.raises(ValueError, match="no setting .'tau'. of the graph"):
            part(graph=dict(tau=3))
