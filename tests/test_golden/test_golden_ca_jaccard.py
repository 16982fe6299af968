"""Camera-aware Jaccard distance, its ablations, and its clusters (CA-Jaccard)."""

import re
from dataclasses import replace

import pytest
import torch
from golden_distances import assert_clusters_equal, assert_distances_equal

from mmvireid.clustering import (
    CameraNeighbors,
    PlainNeighbors,
    jaccard_distance,
    k_reciprocal_encoding,
)
from mmvireid.clustering.jaccard import distance_of_encoding

pytestmark = pytest.mark.golden('ca_jaccard', unused=('vis_id', 'ir_id', 'short_id'))

CASE = re.compile(r'caj(?:_(epoch0|no_expansion)|_k1_(\d+)_(\d+)_k2_(\d+)_(\d+))?')


def distances_of(golden):
    """Yield the set of images and the case of every distance."""
    for images in [name.removesuffix('_feat') for name in golden if name.endswith('_feat')]:
        for name in golden:
            case = name.removeprefix(f'{images}_')
            if name != case and not case.startswith('labels') and case not in (
                    'feat', 'cam', 'id'):
                yield images, case


@pytest.mark.filterwarnings('ignore:.*has only')
def test_distances_and_clusters(golden):
    for images, case in distances_of(golden):
        if not (named := CASE.fullmatch(case)):
            continue
        options = {'epoch0': {'k2_intra': 3, 'k2_inter': 3},
                   'no_expansion': {'k2_intra': 1, 'k2_inter': 0}}.get(named[1], {})
        if named[2]:
            names = ('k1_intra', 'k1_inter', 'k2_intra', 'k2_inter')
            options = dict(zip(names, map(int, named.groups()[1:])))
        distance = jaccard_distance(
            golden[f'{images}_feat'], cameras=golden[f'{images}_cam'], **options)
        assert_distances_equal(distance, golden[f'{images}_{case}'], f'{images} {case}')
        assert_clusters_equal(golden, distance, f'{images}_labels_{case}')


@pytest.mark.filterwarnings('ignore:.*has only')
def test_ablations(golden):
    """Sets of one rule with the query expansion of the other; k1 without the image itself."""
    for images, case in distances_of(golden):
        if CASE.fullmatch(case):
            continue
        features = torch.from_numpy(golden[f'{images}_feat'])
        k1 = re.fullmatch(r'plain_k1_(\d+)', case)
        plain = PlainNeighbors(k1=1 + int(k1[1] if k1 else 20), k2=6)(features)
        aware = CameraNeighbors()(features, cameras=golden[f'{images}_cam'])
        lists = plain if k1 else {
            'ckrnn_lqe': replace(aware, expansion=plain.expansion),
            'krnn_clqe': replace(plain, expansion=aware.expansion)}[case]
        distance = distance_of_encoding(k_reciprocal_encoding(features, lists))
        assert_distances_equal(distance, golden[f'{images}_{case}'], f'{images} {case}')
