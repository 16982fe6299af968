"""Soft labels, weights and alternating steps of N-ULC."""

import numpy as np
import pytest
import torch
from golden_steps import ATOL_MEMORY, check_steps, close

from mmvireid.clustering import (
    NeighborSoftMemories,
    centroids_by_modality,
    neighbor_soft_labels,
    neighbor_weights,
    progressive_graph_matching,
)
from mmvireid.structures import ImageSet

pytestmark = pytest.mark.golden('nulc')

OTHER = {'vis': 'ir', 'ir': 'vis'}
MAPS = {'vis': 'v2i', 'ir': 'i2v'}


def matched_targets(golden, side):
    """The partner of each image's cluster, -1 for outliers."""
    return np.append(golden[MAPS[side]], -1)[golden[f'y_{side}']]


def check(soft, weights, expected_soft, expected_weights):
    np.testing.assert_allclose(soft.toarray(), expected_soft, rtol=0, atol=ATOL_MEMORY)
    np.testing.assert_allclose(weights, expected_weights, rtol=0, atol=ATOL_MEMORY)


def test_soft_labels_and_weights(golden):
    for k in golden['num_neighbors'].tolist():
        for side, other in OTHER.items():
            x, y = golden[f'x_{side}'], golden[f'y_{side}']
            soft = neighbor_soft_labels(x, x, y, num_neighbors=k)
            check(soft, neighbor_weights(soft, y),
                  golden[f'k{k}_{side}_soft'], golden[f'k{k}_{side}_weight'])
            soft = neighbor_soft_labels(
                x, golden[f'x_{other}'], golden[f'y_{other}'], num_neighbors=k)
            check(soft, neighbor_weights(soft, matched_targets(golden, side)),
                  golden[f'k{k}_{side}_cross_soft'], golden[f'k{k}_{side}_cross_weight'])


def test_neighbours_that_are_all_outliers(golden):
    soft = neighbor_soft_labels(golden['x_vis'], golden['x_ir'], golden['novote_y_ir'],
                                num_neighbors=int(golden['num_neighbors'][1]))
    targets = matched_targets(golden, 'vis')
    weights = neighbor_weights(soft, targets)
    without = golden['novote_isnan']
    assert without[golden['novote_row']]
    np.testing.assert_array_equal(np.diff(soft.indptr) == 0, without)
    check(soft[~without], weights[~without],
          golden['novote_soft'][~without], golden['novote_weight'][~without])
    # Where the release has no number, an image counts for next to nothing.
    np.testing.assert_allclose(
        weights[without], np.where(targets[without] >= 0, np.exp(-10), 0))


@pytest.mark.parametrize('parity', ['even', 'odd'])
def test_steps(golden, parity):
    features, labels = ([golden[f'{name}_{side}'] for side in OTHER] for name in 'xy')
    modality = np.repeat([0, 1], [*map(len, labels)])
    # Infrared clusters are numbered after the visible ones.
    clusters = np.concatenate(
        [labels[0], np.where(labels[1] >= 0, labels[1] + labels[0].max() + 1, -1)])
    images = ImageSet(
        dict(base=torch.from_numpy(np.concatenate(features))), identity=0 * modality - 1,
        camera=modality + 1, modality=modality, sample_idx=np.arange(len(modality)))
    centroids = centroids_by_modality(images.descriptors['base'], clusters, modality)
    for side, rows in zip(OTHER, centroids):
        close(rows, golden[f'centroids_{side}'], ATOL_MEMORY)
    match = progressive_graph_matching(*centroids)
    np.testing.assert_array_equal(match.visible_to_infrared, golden['v2i'])
    np.testing.assert_array_equal(match.infrared_to_visible, golden['i2v'])

    # The first number of neighbours is that of the steps.
    plan = NeighborSoftMemories(num_neighbors=int(golden['num_neighbors'][0]))
    planned = plan(images, clusters, clusters, match, ('even', 'odd').index(parity))
    first = {'vis': 0, 'ir': len(labels[0])}
    check_steps(
        golden, 'step_', f'step_{parity}_', planned,
        dict(type='ClusterMemory', mode='mean', momentum=0.2, margin=0, mean_update='sample'),
        lambda step, side: golden[f'step_s{step}_rows_{side}'] + first[side])
