"""Plain and modality-aware Jaccard distance, and their clusters (BMIL)."""

import re

import pytest
from golden_distances import assert_clusters_equal, assert_distances_equal

from mmvireid.clustering import jaccard_distance
from mmvireid.search import self_search

pytestmark = pytest.mark.golden('bmil_jaccard', unused=('pid', 'cam'))

CASE = re.compile(
    r'jac_(plain|aware)(?:_(vis|ir|nonunit))?(?:_k1_(\d+))?(?:_k2_(\d+))?')


def cases_of(golden):
    """Yield name, features and options of each distance; its name tells all."""
    for case in filter(None, map(CASE.fullmatch, golden)):
        kind, which, k1, k2 = case.groups()
        features = golden['feat_nonunit' if which == 'nonunit' else 'feat']
        modality = golden['mod']
        rows = modality == {'vis': 0, 'ir': 1}.get(which, modality)
        options = {name: int(value) for name, value in (('k1', k1), ('k2', k2)) if value}
        if kind == 'aware':
            options['modality'] = modality[rows]
        yield case[0].removeprefix('jac_'), features[rows], options


def test_distances_and_clusters(golden):
    assert (golden['mod'] == 0).sum() == golden['n_vis']
    for name, features, options in cases_of(golden):
        distance = jaccard_distance(features, **options)
        assert_distances_equal(distance, golden[f'jac_{name}'], name)
        assert_clusters_equal(golden, distance, f'labels_{name}')
    eps = {int(name.rpartition('eps')[2]) for name in golden if name.startswith('labels')}
    assert eps == {round(100 * value) for value in golden['eps']}


@pytest.mark.parametrize('search', ['float32', 'bfloat16', 'faiss'])
def test_every_search_finds_the_same_neighbours(golden, search, monkeypatch):
    monkeypatch.setattr(self_search, 'SYMMETRY_FROM', 2)
    monkeypatch.setattr(self_search, 'BLOCK', 64)
    monkeypatch.setattr(self_search, 'multiplies_bfloat16', lambda: search == 'bfloat16')
    backend = 'faiss' if search == 'faiss' else 'torch'
    last_of_its_kind = {(name.split('_')[0], 'nonunit' in name): (name, features, options)
                        for name, features, options in cases_of(golden)}
    for name, features, options in last_of_its_kind.values():
        distance = jaccard_distance(features, backend=backend, **options)
        assert_distances_equal(distance, golden[f'jac_{name}'], name)
