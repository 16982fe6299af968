"""Targets softened by neighbours (N-ULC)."""

import numpy as np
import pytest
import torch
from reference.features import clustered_apart, image_set

from mmvireid.clustering import (
    MatchedMemories,
    NeighborSoftMemories,
    ProgressiveGraphMatching,
    neighbor_soft_labels,
    neighbor_weights,
)
from mmvireid.models import ClusterContrastHead
from mmvireid.structures import BatchInfo

MEMORY = dict(type='ClusterMemory', mode='mean', momentum=0.2, margin=0, mean_update='sample')


def planned(plan, images, clusters, epoch=0):
    return plan(images, clusters, clusters, ProgressiveGraphMatching()(images, clusters), epoch)


@pytest.mark.parametrize('epoch', [0, 1])
def test_targets_and_weights_are_those_of_the_functions(epoch):
    images, clusters = clustered_apart(0)
    plan = NeighborSoftMemories(num_neighbors=4, balance=0.6, scale=5)
    found = planned(plan, images, clusters, epoch)
    hard = planned(MatchedMemories(cross_weight=3), images, clusters, epoch)
    features = images.descriptors['base']
    first = dict(visible=0, infrared=5)
    for term, own in zip(found.terms, hard.terms, strict=True):
        assert (term.memory, term.loss, term.weight) == (own.memory, own.loss, own.weight)
        assert torch.equal(term.targets, own.targets)
        reference = images.modality == (term.memory == 'infrared')
        labels = np.where(clusters[reference] >= 0, clusters[reference] - first[term.memory], -1)
        soft = neighbor_soft_labels(features, features[reference], labels, num_neighbors=4)
        rows = np.flatnonzero(own.targets >= 0)
        expected = 0.4 * soft.toarray()
        expected[rows, own.targets[rows]] += 0.6
        np.testing.assert_allclose(term.soft_targets.toarray()[rows], expected[rows], atol=1e-12)
        weights = neighbor_weights(soft, own.targets, scale=5)
        np.testing.assert_allclose(term.image_weights, weights, rtol=1e-6)
        name = term.loss if term.loss == term.memory else f'cross {term.memory}'
        assert found.notes[f'weight {name}'] == pytest.approx(weights[rows].mean(), rel=1e-6)


def step(labels, images, clusters, gradient='fixed'):
    """Losses of a step with all images that have a cluster, and the memories after it."""
    rows = torch.from_numpy(np.flatnonzero(clusters >= 0))
    head = ClusterContrastHead(6, dict(all=dict(memory=MEMORY, cross_gradient=gradient)))
    head.reset(dict(all=labels))
    losses = head.contrast(images.descriptors['base'][rows].double() + 0.1, BatchInfo(
        modality=torch.from_numpy(images.modality)[rows], index=rows, branch='all'))
    head.update_memories()
    return losses, [memory.prototypes for memory in head.memories('all').values()]


@pytest.mark.parametrize('epoch', [0, 1])
def test_without_balance_and_scale_it_is_alternate_learning(epoch):
    """And memories move by the labels alone, however soft a target is, and what it weighs."""
    images, clusters = clustered_apart(1)
    plain = step(planned(MatchedMemories(), images, clusters, epoch), images, clusters)
    hard = step(planned(NeighborSoftMemories(
        cross_weight=0.25, balance=1, scale=0), images, clusters, epoch), images, clusters)
    soft = step(planned(NeighborSoftMemories(
        num_neighbors=5), images, clusters, epoch), images, clusters)
    assert plain[0].keys() == hard[0].keys()
    for name, loss in plain[0].items():
        torch.testing.assert_close(hard[0][name], loss, rtol=1e-6, atol=0)
        assert abs(soft[0][name] - loss) > 0.01
    for found in (hard, soft):
        for one, other in zip(found[1], plain[1], strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(('num_visible', 'num_infrared'), [(4, 4), (3, 5), (7, 2)])
def test_any_numbers_of_clusters_train(num_visible, num_infrared):
    images, clusters = clustered_apart(2, num_visible, num_infrared)
    for epoch in (0, 1):
        labels = planned(NeighborSoftMemories(num_neighbors=4), images, clusters, epoch)
        assert labels.failure is None
        assert (labels.terms[0].targets >= 0).sum() == (
            (images.modality == epoch) & (clusters >= 0)).sum()
        losses, _ = step(labels, images, clusters)
        assert all(torch.isfinite(loss) for loss in losses.values())


def test_neighbours_that_are_all_outliers(caplog):
    """Visible images 0 to 3 lie where the infrared images are in no cluster."""
    directions = torch.eye(4)
    features = torch.cat([directions[[0, 0, 0, 0, 2, 2]], directions[[0, 0, 2, 2, 3, 3]]])
    modality = np.repeat([0, 1], 6)
    clusters = np.array([0, 0, 0, 0, 1, 1, -1, -1, 2, 2, 3, 3])
    images = image_set(features, modality)
    labels = planned(NeighborSoftMemories(num_neighbors=2), images, clusters)
    assert '4 of 6 images that are compared with infrared clusters have only' in caplog.text
    cross = labels.terms[0]
    soft = cross.soft_targets.toarray()
    assert np.isfinite(soft).all()
    np.testing.assert_allclose(soft[:4].sum(1), 0.7)
    np.testing.assert_allclose(soft[np.arange(4), cross.targets[:4]], 0.7)
    np.testing.assert_allclose(cross.image_weights[:4], np.exp(-10))
    losses, _ = step(labels, images, clusters)
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_modality_smaller_than_the_neighbourhood_is_taken_whole(caplog):
    images, clusters = clustered_apart(3)
    plan = NeighborSoftMemories(num_neighbors=1000)
    found = planned(plan, images, clusters)
    sizes = np.bincount(images.modality)
    assert f'visible modality has only {sizes[0]} images where 1000' in caplog.text
    assert f'infrared modality has only {sizes[1]} images where 1000' in caplog.text
    every = planned(NeighborSoftMemories(num_neighbors=int(sizes.max())), images, clusters)
    for one, other in zip(found.terms, every.terms):
        np.testing.assert_array_equal(
            one.soft_targets.toarray(), other.soft_targets.toarray())
    # Once, not in each epoch.
    caplog.clear()
    planned(plan, images, clusters)
    assert not caplog.text


@pytest.mark.parametrize('options', [dict(num_neighbors=0), dict(balance=1.1)])
def test_settings_that_cannot_be_used(options):
    with pytest.raises(ValueError, match='num_neighbors must be at least 1 and balance'):
        NeighborSoftMemories(**options)
