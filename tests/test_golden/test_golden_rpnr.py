"""Calibration, transport, neighbour relations and alternating steps of RPNR."""

import re

import numpy as np
import pytest
import torch
from golden_steps import ATOL_LOSS, ATOL_MEMORY, check_steps, close, clusters_as_images, steps_of
from reference.cluster_memory import loss_and_grad

from mmvireid.clustering import (
    ClusterMatch,
    HybridMemories,
    calibrate_labels,
    cluster_centroids,
    cluster_density,
    hybrid_centroids,
    optimal_transport_matching,
)
from mmvireid.models import NeighborRelationLoss

pytestmark = pytest.mark.golden('rpnr')

#: Type of the features -> ending of the names, tolerance of the gradient as a share of its
#: largest entry. The release takes float32 distances from a matrix product.
RELATION = {torch.float32: ('', 1e-3), torch.float64: ('64', 1e-6)}


def cases_of(golden, pattern):
    """What the group of a pattern matches in the names."""
    cases = [found[1] for found in (re.fullmatch(pattern, name) for name in golden) if found]
    assert cases
    return cases


def test_calibrated_labels(golden):
    for case in cases_of(golden, r'(npc_top\d+)_x'):
        x, y = golden[f'{case}_x'], golden[f'{case}_y']
        labels, prototypes = calibrate_labels(
            x, y, num_reliable=int(case.removeprefix('npc_top')))
        np.testing.assert_array_equal(labels, golden[f'{case}_labels'])
        np.testing.assert_array_equal(cluster_density(x, y), golden[f'{case}_density'])
        close(prototypes, golden[f'{case}_prototypes'], ATOL_MEMORY)
        close(cluster_centroids(x, y), golden[f'{case}_centroids'], ATOL_MEMORY)


def test_transport_and_hybrid_centroids(golden):
    for case in cases_of(golden, r'(otpm_\w+)_vis'):
        visible, infrared = golden[f'{case}_vis'], golden[f'{case}_ir']
        match, plan = optimal_transport_matching(visible, infrared)
        np.testing.assert_allclose(plan, golden[f'{case}_plan'], rtol=0, atol=ATOL_MEMORY)
        np.testing.assert_array_equal(match.visible_to_infrared, golden[f'{case}_v2i'])
        np.testing.assert_array_equal(match.infrared_to_visible, golden[f'{case}_i2v'])
        hybrid = hybrid_centroids(visible, infrared, match.infrared_to_visible).numpy()
        # The release leaves the row of a cluster without images zero, where ours is a mean.
        emptied = int(golden[f'{case}_emptied'])
        assert hybrid[emptied].any()
        hybrid[emptied] = 0
        np.testing.assert_allclose(hybrid, golden[f'{case}_hybrid'], rtol=0, atol=ATOL_MEMORY)


def test_neighbor_relations(golden):
    for case in cases_of(golden, r'(nrl_\w+)_x'):
        for kind, (ending, rtol) in RELATION.items():
            loss, grad = loss_and_grad(
                NeighborRelationLoss(), torch.from_numpy(golden[f'{case}_x']).to(kind))
            close(loss, golden[f'{case}_loss{ending}'], ATOL_LOSS)
            expected = golden[f'{case}_grad{ending}']
            np.testing.assert_allclose(grad, expected, rtol=0, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize('parity', ['even', 'odd'])
def test_steps(golden, parity):
    visible, infrared = golden['otpm_more_vis'], golden['otpm_more_ir']
    images, clusters = clusters_as_images(visible, infrared)
    match = ClusterMatch(golden['otpm_more_v2i'], golden['otpm_more_i2v'])
    labels = HybridMemories()(images, clusters, clusters, match, ('even', 'odd').index(parity))
    close(labels.prototypes['hybrid'].centroids, golden['step_hybrid'], ATOL_MEMORY)
    # The first infrared cluster comes after the last visible one.
    first = {'vis': 0, 'ir': len(visible)}
    check_steps(
        golden, 'step_', f'step_{parity}_', labels, dict(type='ClusterMemory', mode='hybrid'),
        lambda step, side: golden[f'step_s{step}_y_{side}'] + first[side], rtol_grad=1e-4,
        losses=dict(relation=dict(type='NeighborRelationLoss', loss_weight=10)))
    for step in steps_of(golden, f'step_{parity}_'):
        for side in first:
            x = torch.from_numpy(golden[f'step_s{step}_x_{side}'])
            close(NeighborRelationLoss()(x), golden[f'step_{parity}_s{step}_loss_nrl_{side}'],
                  ATOL_LOSS)
