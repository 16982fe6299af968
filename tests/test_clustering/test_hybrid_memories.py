"""Memories with prototypes of both modalities (RPNR)."""

import numpy as np
import pytest
import torch
from reference.features import clustered_apart

from mmvireid.clustering import (
    ClusterMatch,
    HybridMemories,
    MatchedMemories,
    centroids_by_modality,
    hybrid_centroids,
)

#: Visible cluster 1 and infrared cluster 2 have no partner.
MATCH = ClusterMatch(np.array([2, -1, 0, 0, 1]), np.array([0, 4, -1]))


@pytest.mark.parametrize('epoch', [0, 1, 2])
def test_who_is_compared_with_it_changes_from_epoch_to_epoch(epoch):
    images, clusters = clustered_apart(0)
    found = HybridMemories()(images, clusters, clusters, MATCH, epoch)
    assert [(term.memory, term.loss, term.weight, term.moves) for term in found.terms] == [
        ('hybrid', 'hybrid', 0.5, True),
        (('infrared', 'visible')[epoch % 2], 'cross', 0.25, True),
        ('visible', 'visible', 1, True), ('infrared', 'infrared', 1, True)]
    targets = found.terms[0].targets.numpy()
    crossing = images.modality == epoch % 2
    assert (targets[~crossing | (clusters < 0)] == -1).all()
    for target, cluster in zip(targets[crossing], clusters[crossing]):
        if cluster >= 0:
            assert target == (cluster - 5 if epoch % 2 else MATCH.visible_to_infrared[cluster])
    # All else is as without this memory.
    plain = MatchedMemories()(images, clusters, clusters, MATCH, epoch)
    for one, other in zip(found.terms[1:], plain.terms, strict=True):
        assert torch.equal(one.targets, other.targets)


def test_both_turns_in_each_epoch():
    images, clusters = clustered_apart(1)
    found = HybridMemories(turns='both', hybrid_weight=2)(images, clusters, clusters, MATCH, 0)
    for term, epoch in zip(found.terms[:2], (0, 1)):
        alone = HybridMemories()(images, clusters, clusters, MATCH, epoch)
        assert torch.equal(term.targets, alone.terms[0].targets)
        assert (term.loss, term.weight) == ('hybrid', 2)


def test_a_cluster_that_calibration_has_emptied_keeps_its_prototype():
    images, clusters = clustered_apart(2)
    labels = np.where(clusters == 5, 6, clusters)  # infrared cluster 0
    found = HybridMemories()(images, clusters, labels, MATCH, 1)
    visible, infrared = centroids_by_modality(
        images.descriptors['base'], clusters, images.modality)
    expected = hybrid_centroids(visible, infrared, MATCH.infrared_to_visible)
    assert torch.equal(found.prototypes['hybrid'].centroids, expected)
    assert expected[0].any()
    assert 0 not in found.terms[0].targets
    assert 1 in found.terms[0].targets
