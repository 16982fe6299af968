"""Matching and alternating steps of PGM."""

import re

import numpy as np
import pytest
from golden_steps import check_steps, clusters_as_images
from reference.pgm import MEMORIES, released_matching
from scipy.optimize import linear_sum_assignment

from mmvireid.clustering import ClusterMatch, MatchedMemories, progressive_graph_matching

pytestmark = pytest.mark.golden('pgm')


def test_partners_and_rounds(golden):
    cases = [found[1] for found in (re.fullmatch(r'match_(\w+)_vis', name) for name in golden)
             if found]
    assert cases
    for case in cases:
        prefix = f'match_{case}_'
        visible, infrared = golden[f'{prefix}vis'], golden[f'{prefix}ir']
        match = progressive_graph_matching(visible, infrared)
        maps = (match.visible_to_infrared, match.infrared_to_visible)
        for name, found in zip(('v2i', 'i2v'), maps):
            np.testing.assert_array_equal(found, golden[f'{prefix}{name}'])
            assert found.dtype == np.int64
        assert match.notes['rounds'] == golden[f'{prefix}num_rounds']
        smaller, larger = sorted((len(visible), len(infrared)))
        for script, mirrored in (('sysu', False), ('regdb', True)):
            theirs = [golden[f'{prefix}{name}_{script}_script'] for name in ('v2i', 'i2v')]
            # What the scripts do is told by a restatement of them, right or wrong.
            for their, restated in zip(theirs, released_matching(
                    visible, infrared, lambda cost: list(zip(*linear_sum_assignment(cost))),
                    mirrored)):
                np.testing.assert_array_equal(their, restated)
            covered = mirrored or len(visible) >= len(infrared)
            same = all(map(np.array_equal, maps, theirs))
            assert same == (covered and larger <= 2 * smaller)


@pytest.mark.parametrize('kind', MEMORIES)
@pytest.mark.parametrize('parity', ['even', 'odd'])
def test_steps(golden, kind, parity):
    images, clusters = clusters_as_images(golden['accl_vis'], golden['accl_ir'])
    match = ClusterMatch(golden['accl_v2i'], golden['accl_i2v'])
    labels = MatchedMemories()(images, clusters, clusters, match, ('even', 'odd').index(parity))
    # The first infrared cluster comes after the last visible one.
    first = {'vis': 0, 'ir': len(golden['accl_vis'])}
    check_steps(
        golden, 'accl_', f'accl_{kind}_{parity}_', labels,
        dict(type='ClusterMemory', **MEMORIES[kind]),
        lambda step, side: golden[f'accl_s{step}_y_{side}'] + first[side])
