"""Votes of image pairs for pairs of clusters, and what is made of them."""

import logging
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.adca import naive_pairs, naive_votes

from mmvireid.clustering import (
    AggregatedMemories,
    ModalityMemories,
    VoteMatching,
    cross_modality_votes,
    greedy_matching,
    vote_matching,
)
from mmvireid.models import ClusterMemory
from mmvireid.structures import ImageSet


def features_of(rng, num, dim=6):
    """Rows whose products are often near 0.5 and never too near to it for float32."""
    rows = rng.standard_normal((num, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def image_set(features, modality):
    num = len(modality)
    return ImageSet(dict(base=torch.from_numpy(features)), identity=np.full(num, -1),
                    camera=modality + 1, modality=modality, sample_idx=np.arange(num))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.integers(1, 7),
       st.integers(1, 7), st.sampled_from([-2.0, 0.2, 0.5, 2.0]), st.integers(1, 9),
       st.integers(1, 9))
def test_votes_equal_a_double_loop(seed, num_visible, num_infrared, kv, ki, threshold, rows,
                                   columns):
    rng = np.random.default_rng(seed)
    visible, infrared = features_of(rng, num_visible), features_of(rng, num_infrared)
    labels = rng.integers(-1, kv, num_visible), rng.integers(-1, ki, num_infrared)
    expected = naive_votes(visible, infrared, *labels, threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vote_matching, 'ROWS', rows)
        patch.setattr(vote_matching, 'COLUMNS', columns)
        found = [cross_modality_votes(visible, infrared, *labels, threshold=threshold)]
        # What a GPU does, on this machine.
        patch.setattr(vote_matching, '_count_on_cpu', vote_matching._count_on_gpu)
        found.append(cross_modality_votes(*map(torch.from_numpy, (visible, infrared, *labels)),
                                          threshold=threshold))
    for votes, best in found:
        np.testing.assert_array_equal(votes, expected[0])
        np.testing.assert_allclose(best, expected[1], atol=1e-6)
    pairs = greedy_matching(*found[0])
    np.testing.assert_array_equal(pairs, naive_pairs(*found[0]))
    assert all(len(set(side)) == len(pairs) for side in pairs.T.tolist())  # one to one


def test_equal_votes_are_told_apart_by_the_best_then_by_position():
    votes = np.array([[2, 2], [2, 3], [2, 2]])
    assert greedy_matching(votes).tolist() == [[1, 1], [0, 0]]
    best = np.array([[0.6, 0.6], [0.6, 0.6], [0.9, 0.5]])
    assert greedy_matching(votes, best).tolist() == [[1, 1], [2, 0]]
    assert greedy_matching(np.zeros((3, 2), int), best).shape == (0, 2)


def matched(rng, spread=0.0):
    """Images of both modalities in mixed order, with clusters and outliers."""
    modality = rng.integers(0, 2, 80)
    clusters = np.where(modality == 0, rng.integers(-1, 6, 80), rng.integers(6, 10, 80))
    centres = features_of(rng, 6)
    features = 0.95 * centres[clusters % 6] + spread * rng.standard_normal((80, 6))
    return image_set(features.astype(np.float32), modality), clusters


def test_the_order_of_images_and_outliers_change_nothing():
    images, clusters = matched(np.random.default_rng(0), 0.1)
    match = VoteMatching()(images, clusters)
    assert match.notes['votes'] > 0
    for own, other in ((match.visible_to_infrared, match.infrared_to_visible),
                       (match.infrared_to_visible, match.visible_to_infrared)):
        taken = own[own >= 0]
        np.testing.assert_array_equal(other[taken], np.flatnonzero(own >= 0))
    order = np.random.default_rng(1).permutation(80)
    again = VoteMatching()(image_set(
        images.descriptors['base'].numpy()[order], images.modality[order]), clusters[order])
    kept = clusters >= 0
    alone = VoteMatching()(image_set(
        images.descriptors['base'].numpy()[kept], images.modality[kept]), clusters[kept])
    for found in (again, alone):
        assert found.notes == match.notes
        np.testing.assert_array_equal(found.visible_to_infrared, match.visible_to_infrared)


def memories_of(planned, **options):
    memories = {}
    for name, prototypes in planned.prototypes.items():
        memories[name] = ClusterMemory(**options)
        memories[name].reset(prototypes.centroids, normalize=prototypes.normalize)
    return memories


def test_matched_visible_prototypes_begin_near_the_infrared_ones():
    images, clusters = matched(np.random.default_rng(0), 0.1)
    match = VoteMatching()(images, clusters)
    plain = memories_of(ModalityMemories()(images, clusters, clusters))
    visible, infrared = plain['visible'].prototypes, plain['infrared'].prototypes
    planned = AggregatedMemories()(images, clusters, clusters, match)
    memories = memories_of(planned, mean_update='sample')
    torch.testing.assert_close(memories['infrared'].prototypes, infrared, rtol=0, atol=0)
    partners = match.visible_to_infrared
    assert {True, False} == set((partners >= 0).tolist())
    for k, partner in enumerate(partners):
        expected = visible[k] if partner < 0 else 0.1 * visible[k] + 0.9 * infrared[partner]
        torch.testing.assert_close(memories['visible'].prototypes[k], expected)
    lengths = memories['visible'].prototypes.norm(dim=1)
    assert (lengths[partners >= 0] < 0.9999).all()
    # The first update of a row ends on the unit sphere.
    features = images.descriptors['base']
    memories['visible'].update(features, planned.terms[0].targets)
    torch.testing.assert_close(memories['visible'].prototypes.norm(dim=1), torch.ones(6))
    scaled = memories_of(AggregatedMemories(normalize=True)(images, clusters, clusters, match))
    torch.testing.assert_close(scaled['visible'].prototypes.norm(dim=1), torch.ones(6))


def test_without_a_vote_the_memories_stay_and_the_log_says_so(caplog):
    images, clusters = matched(np.random.default_rng(0), 0.1)
    with caplog.at_level(logging.WARNING):
        match = VoteMatching(threshold=2)(images, clusters)
    assert 'similarity of 2 or more, so no clusters are matched' in caplog.messages[-1]
    assert len(caplog.messages) == 1
    assert match.notes == {'votes': 0}
    plain = ModalityMemories()(images, clusters, clusters)
    planned = AggregatedMemories()(images, clusters, clusters, match)
    for name, memory in memories_of(planned).items():
        assert torch.equal(memory.prototypes, memories_of(plain)[name].prototypes)


def test_memory_stays_far_below_all_pairs():
    """Of 6,000 x 3,000 similarities, 72 MB, and 9,000 features, a block is held."""
    rng = np.random.default_rng(0)
    features, modality = features_of(rng, 9000, dim=16), np.repeat([0, 1], [6000, 3000])
    clusters = np.where(modality == 0, rng.integers(0, 50, 9000), rng.integers(50, 80, 9000))
    images, blocks = image_set(features, modality), []
    product = torch.Tensor.__matmul__

    def record(one, other):
        blocks.append(len(one) * other.shape[1])
        return product(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vote_matching, 'ROWS', 256)
        patch.setattr(vote_matching, 'COLUMNS', 512)
        patch.setattr(torch.Tensor, '__matmul__', record)
        tracemalloc.start()
        VoteMatching()(images, clusters)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert max(blocks) == 256 * 512
    assert sum(blocks) == 6000 * 3000
    assert peak < 2e6  # what NumPy holds, of which there is nothing by the pair


def test_what_cannot_be_compared_is_said():
    one = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match='2 visible images got labels of shape'):
        cross_modality_votes(one, one, [0], [0, 1])
    with pytest.raises(ValueError, match='3 dimensions, infrared ones 2'):
        cross_modality_votes(one, one[:, :2], [0, 1], [0, 1])
    with pytest.raises(ValueError, match='infrared holds NaN'):
        cross_modality_votes(one, np.full((2, 3), np.nan), [0, 1], [0, 1])
    with pytest.raises(ValueError, match='votes must be of shape'):
        greedy_matching(np.ones(3))
    with pytest.raises(ValueError, match='keep must be between 0 and 1, got 2'):
        AggregatedMemories(keep=2)
    images, clusters = matched(np.random.default_rng(0))
    with pytest.raises(RuntimeError, match='give the labeller an associate'):
        AggregatedMemories()(images, clusters, clusters)
