"""Images that are compared with the memory of the other modality, through labeller and head."""

from copy import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.clustering import ClusterMatch, MatchedMemories, cross_terms
from mmvireid.models import ClusterContrastHead, ClusterMemory
from mmvireid.registry import LABELLERS
from mmvireid.structures import BatchInfo, ImageSet

DIM = 6
MEMORY = dict(type='ClusterMemory', mode='hard', momentum=0.2)
LABELLER = dict(
    type='ClusterLabeller',
    partition=dict(type='IntraModalityClustering', visible=dict(type='JaccardDBSCAN')),
    associate=dict(type='ProgressiveGraphMatching'), plan=dict(type='MatchedMemories'))


def people(num_visible, num_infrared, seed=0):
    """Three images of each cluster in mixed order, and an outlier of each modality."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(num_visible + num_infrared), 3)
    modality = (clusters >= num_visible).astype(int)
    clusters, modality = np.append(clusters, [-1, -1]), np.append(modality, [0, 1])
    order = rng.permutation(len(clusters))
    clusters, modality = clusters[order], modality[order]
    features = rng.standard_normal((len(clusters), DIM))
    return ImageSet(
        dict(base=torch.from_numpy(features)), identity=np.full(len(clusters), -1),
        camera=modality + 1, modality=modality, sample_idx=np.arange(len(clusters))), clusters


def step_of(labels, images, gradient='fixed', seed=1):
    """A head with its memories, and a batch of all images."""
    head = ClusterContrastHead(
        DIM, dict(all=dict(memory=MEMORY, cross_gradient=gradient)))
    head.reset(dict(all=labels))
    info = BatchInfo(modality=torch.from_numpy(images.modality),
                     index=torch.arange(len(images.modality)), branch='all')
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(info), DIM, generator=generator, dtype=torch.float64)
    return head, rows.requires_grad_(), info


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(4, 4), (3, 5), (9, 4), (2, 7), (5, 2)]), st.integers(0, 5),
       st.integers(0, 10**6))
def test_directions_alternate_from_epoch_to_epoch(sizes, epoch, seed):
    """Even: visible images against infrared prototypes; odd: the other way."""
    images, clusters = people(*sizes, seed)
    labels = LABELLERS.build(LABELLER).from_clusters(images, clusters, epoch)
    assert [term.loss for term in labels.terms] == ['cross', 'visible', 'infrared']
    crossing = labels.terms[0]
    assert crossing.memory == ('infrared', 'visible')[epoch % 2]
    taken = (images.modality == epoch % 2) & (clusters >= 0)
    np.testing.assert_array_equal(crossing.targets >= 0, taken)  # everyone has a partner
    head, rows, info = step_of(labels, images)
    losses = head.contrast(rows, info)
    assert all(torch.isfinite(loss) and loss > 0 for loss in losses.values())
    grad, = torch.autograd.grad(losses['loss_all_cross'], rows)
    np.testing.assert_array_equal(grad.abs().sum(1) > 0, taken)
    head.update_memories()
    assert all(torch.isfinite(memory.prototypes).all()
               for memory in head.memories('all').values())


def test_both_directions_in_an_epoch():
    images, clusters = people(4, 3)
    one = LABELLERS.build(LABELLER)
    both = LABELLERS.build({**LABELLER, 'plan': dict(type='MatchedMemories', turns='both')})
    found = both.from_clusters(images, clusters, 0)
    for term, epoch in zip(found.terms[:2], (0, 1), strict=True):
        single = one.from_clusters(images, clusters, epoch).terms[0]
        assert (term.memory, term.loss, term.weight) == (single.memory, 'cross', 0.25)
        assert torch.equal(term.targets, single.targets)


def test_images_without_a_partner_have_no_part():
    images, clusters = people(6, 2)
    cut = LABELLERS.build({
        **LABELLER, 'associate': dict(type='ProgressiveGraphMatching', max_rounds=1)})
    labels = cut.from_clusters(images, clusters, 0)
    assert labels.notes == {'matched visible': 2, 'matched infrared': 2, 'rounds': 1}
    targets = labels.terms[0].targets
    assert (targets >= 0).sum() == 6  # three images of two clusters
    head, rows, info = step_of(labels, images)
    loss = head.contrast(rows, info)['loss_all_cross']
    grad, = torch.autograd.grad(loss, rows)
    np.testing.assert_array_equal(grad.abs().sum(1) > 0, targets >= 0)
    # The others might as well not be there.
    kept = targets >= 0
    memory = ClusterMemory('hard')
    memory.reset(labels.prototypes['infrared'].centroids)
    torch.testing.assert_close(loss, 0.25 * memory.loss(rows[kept], targets[kept]))


def test_nobody_with_a_partner_adds_nothing():
    images, clusters = people(3, 2)
    match = ClusterMatch(np.full(3, -1), np.full(2, -1))
    labels = MatchedMemories()(images, clusters, clusters, match, 0)
    head, rows, info = step_of(labels, images)
    assert head.contrast(rows, info)['loss_all_cross'] == 0
    before = head.memories('all')['infrared'].prototypes
    head.update_memories()
    alone = ClusterMemory('hard', momentum=0.2)
    alone.prototypes = before
    alone.update(rows, labels.terms[2].targets)
    assert torch.equal(head.memories('all')['infrared'].prototypes, alone.prototypes)


@pytest.mark.parametrize('epoch', [0, 1])
def test_cross_images_move_the_memory_first(epoch):
    images, clusters = people(5, 3)
    labels = LABELLERS.build(LABELLER).from_clusters(images, clusters, epoch)
    head, rows, info = step_of(labels, images)
    expected = {name: copy(memory) for name, memory in head.memories('all').items()}
    head.contrast(rows, info)
    assert all(torch.equal(expected[name].prototypes, memory.prototypes)
               for name, memory in head.memories('all').items())  # not before the update
    head.update_memories()
    for term in (labels.terms[0], *labels.terms[1:]):
        expected[term.memory].update(rows, term.targets)
    for name, memory in head.memories('all').items():
        assert torch.equal(memory.prototypes, expected[name].prototypes)


@pytest.mark.parametrize('epoch', [0, 1])
def test_the_fixed_gradient_is_that_of_the_loss(epoch):
    """Finite differences; the gradient of the release is not, on the side that was moved."""
    images, clusters = people(4, 3)
    labels = LABELLERS.build(LABELLER).from_clusters(images, clusters, epoch)
    grads = {}
    for gradient in ('fixed', 'moved'):
        head, rows, info = step_of(labels, images, gradient)

        def total(rows, head=head, info=info):
            return sum(head.contrast(rows, info).values())

        if gradient == 'fixed':
            assert torch.autograd.gradcheck(total, rows)
        grads[gradient], = torch.autograd.grad(total(rows), rows)
    crossing = torch.from_numpy(images.modality == epoch % 2)
    torch.testing.assert_close(grads['fixed'][crossing], grads['moved'][crossing])
    moved = ~crossing & torch.from_numpy(clusters >= 0)
    difference = (grads['fixed'] - grads['moved'])[moved].norm() / grads['fixed'][moved].norm()
    assert difference > 0.1


@pytest.mark.parametrize(('associate', 'plan'), [
    ('ProgressiveGraphMatching', 'MatchedMemories'), ('VoteMatching', 'AggregatedMemories'),
    ('OptimalTransportMatching', 'HybridMemories'),
    ('ProgressiveGraphMatching', 'NeighborSoftMemories')])
def test_identities_are_never_read(associate, plan):
    images, clusters = people(5, 4)
    label = LABELLERS.build({
        **LABELLER, 'associate': dict(type=associate), 'plan': dict(type=plan),
        'refine': [dict(type='PrototypeCalibration', num_reliable=2)]})
    noisy = copy(images)
    object.__setattr__(noisy, 'identity', np.random.default_rng(0).integers(0, 9, len(clusters)))
    one, other = (label.from_clusters(given, clusters, 1) for given in (images, noisy))
    for first, second in zip(one.terms, other.terms, strict=True):
        assert torch.equal(first.targets, second.targets)
    for name, prototypes in one.prototypes.items():
        assert torch.equal(prototypes.centroids, other.prototypes[name].centroids)
    assert one.notes == other.notes


def test_what_cannot_be_planned_is_said():
    images, clusters = people(2, 2)
    with pytest.raises(ValueError, match="'alternate' or 'both', got 'odd'"):
        MatchedMemories(turns='odd')
    with pytest.raises(ValueError, match="'alternate' or 'both', got 'odd'"):
        cross_terms([], ClusterMatch(np.zeros(0, int), np.zeros(0, int)), 0, 'odd')
    with pytest.raises(RuntimeError, match='give the labeller an associate'):
        MatchedMemories()(images, clusters, clusters)
