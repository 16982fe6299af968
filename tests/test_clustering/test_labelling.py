"""The order of the steps that make pseudo labels, and what each of them is given."""

import numpy as np
import pytest
import torch

from mmvireid.clustering import ClusterLabeller, ClusterMatch, ModalityMemories, Partition
from mmvireid.registry import LABELLERS, TASK_UTILS
from mmvireid.structures import ImageSet, Prototypes, PseudoLabels, Term

MODALITY = np.array([0, 0, 0, 0, 1, 1, 1, 1])
CLUSTERS = (0, 0, 1, 1, 2, 2, 3, -1)


@pytest.fixture
def images():
    return ImageSet(dict(base=torch.eye(8)), identity=np.full(8, -1), camera=MODALITY + 1,
                    modality=MODALITY, sample_idx=np.arange(8))


@TASK_UTILS.register_module()
class Given:
    """A partition that is known, and notes what it was asked."""

    def __init__(self, labels=CLUSTERS):
        self.labels = np.array(labels)

    def __call__(self, images, rng, before):
        self.asked = rng.random(), dict(before)
        return Partition(self.labels, np.arange(8) != 7)


@TASK_UTILS.register_module()
class Swap:
    """A refinement that takes the images of one cluster for those of another."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def __call__(self, images, labels):
        return np.where(labels == self.old, self.new, labels)


@TASK_UTILS.register_module()
class InOrder:
    """An associator: k to k, and the rest to the last."""

    def __call__(self, images, clusters):
        visible, infrared = (
            len(np.unique(clusters[(images.modality == m) & (clusters >= 0)])) for m in (0, 1))
        return ClusterMatch(np.minimum(np.arange(visible), infrared - 1),
                            np.minimum(np.arange(infrared), visible - 1))


@TASK_UTILS.register_module()
class VisibleAgainstInfrared(ModalityMemories):
    """A plan with a term across modalities in even epochs."""

    def __call__(self, images, clusters, labels, match, epoch):
        own = super().__call__(images, clusters, labels)
        if epoch % 2:
            return own
        partner = torch.from_numpy(np.append(match.visible_to_infrared, -1))
        cross = Term('infrared', partner[own.terms[0].targets], loss='cross', weight=0.25)
        return PseudoLabels(labels, own.prototypes, [cross, *own.terms], clusters)


def labeller(labels=CLUSTERS, **cfg):
    return LABELLERS.build({
        'type': 'ClusterLabeller', 'partition': dict(type='Given', labels=labels),
        'plan': dict(type='VisibleAgainstInfrared'), 'associate': dict(type='InOrder'), **cfg})


def test_steps_follow_one_another(images):
    label = labeller(refine=[dict(type='Swap', old=0, new=1), dict(type='Swap', old=1, new=0)])
    before = {'intra': PseudoLabels(np.array(CLUSTERS))}
    found = label(images, 4, np.random.default_rng(3), before)
    assert label.partition.asked == (np.random.default_rng(3).random(), before)
    # First all images of 0 are taken for 1, then all of 1 for 0.
    assert found.labels.tolist() == [0, 0, 0, 0, 2, 2, 3, -1]
    assert tuple(found.clusters) == CLUSTERS
    assert found.considered.tolist() == 7 * [True] + [False]
    assert found.failure is None
    # Prototypes and the match are those of the clusters as they were found.
    assert [prototypes.num_clusters for prototypes in found.prototypes.values()] == [2, 2]
    assert [term.loss for term in found.terms] == ['cross', 'visible', 'infrared']
    assert found.terms[0].targets.tolist() == [0, 0, 0, 0, -1, -1, -1, -1]
    assert [term.loss for term in label(images, 5, np.random.default_rng(3), {}).terms] == [
        'visible', 'infrared']


def test_notes_tell_what_the_steps_have_done(images):
    found = labeller(refine=[dict(type='Swap', old=0, new=1)])(
        images, 0, np.random.default_rng(0), {})
    assert found.notes == {
        'relabelled': 2, 'emptied': 1, 'matched visible': 2, 'matched infrared': 2}
    assert set(found.seconds) == {'match'}
    # The first visible cluster is one with the first infrared one, and so on.
    assert found.joined.tolist() == [1, 1, 1, 1, 0, 0, 1, -1]
    alone = labeller(associate=None, plan=dict(type='ModalityMemories'))(
        images, 0, np.random.default_rng(0), {})
    assert (alone.notes, alone.seconds, alone.joined) == ({}, {}, None)


def test_clusters_of_an_earlier_epoch_go_through_the_same_steps(images):
    label = labeller(refine=[dict(type='Swap', old=0, new=1)])
    first = label(images, 0, np.random.default_rng(0), {})
    again = label.from_clusters(images, first.clusters, 1)
    np.testing.assert_array_equal(again.labels, first.labels)
    assert [term.loss for term in again.terms] == ['visible', 'infrared']


@pytest.mark.parametrize(('labels', 'message'), [
    ([0, 0, 1, 1, -1, -1, -1, -1], 'all 3 infrared images are outliers'),
    ([-1, -1, -1, -1, 0, 0, 1, 1], 'all 4 visible images are outliers'),
    ([0, 0, 0, 0, 1, 1, 2, 2], 'only 1 cluster in the memory "visible"'),
])
def test_clusters_that_teach_nothing_say_why(images, labels, message):
    found = labeller(labels)(images, 0, np.random.default_rng(0), {})
    assert message in found.failure
    assert found.clusters.tolist() == labels


def test_groups_are_counted_once():
    centroids = torch.eye(3)
    assert Prototypes(centroids).num_clusters == 3
    assert Prototypes(centroids, torch.tensor([0, 0, 1])).num_clusters == 2


def test_a_labeller_is_a_part_of_its_own_kind():
    assert isinstance(labeller(), ClusterLabeller)
