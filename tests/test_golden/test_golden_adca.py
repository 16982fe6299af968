"""Votes, aggregated memories and steps of ADCA."""

import re

import numpy as np
import pytest
import torch
from golden_steps import ATOL_MEMORY, check_steps, clusters_as_images
from reference.adca import MEMORY

from mmvireid.clustering import (
    AggregatedMemories,
    ClusterMatch,
    VoteMatching,
    aggregate_prototypes,
    cross_modality_votes,
    greedy_matching,
)
from mmvireid.models import ClusterMemory
from mmvireid.structures import ImageSet

pytestmark = pytest.mark.golden('adca')


def cases_of(golden):
    found = [case[1] for case in (re.fullmatch(r'cma_(\w+)_votes', name) for name in golden)
             if case]
    assert found
    return [f'cma_{case}_' for case in found]


def match_of(pairs, shape):
    maps = [np.full(size, -1) for size in shape]
    maps[0][pairs[:, 0]], maps[1][pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    return ClusterMatch(*maps)


def test_votes_and_pairs(golden):
    for case in cases_of(golden):
        features, labels = (
            [golden[f'{case}{letter}_{side}'] for side in ('vis', 'ir')] for letter in 'xy')
        votes, best = cross_modality_votes(*features, *labels)
        np.testing.assert_array_equal(votes, golden[f'{case}votes'])
        pairs = greedy_matching(votes, best)
        np.testing.assert_array_equal(pairs, golden[f'{case}pairs'])
        assert votes.dtype == pairs.dtype == np.int64


def test_memories_after_aggregation(golden):
    for case in cases_of(golden):
        before, after = ([torch.from_numpy(golden[f'{case}mem_{side}{when}'])
                          for side in ('vis', 'ir')] for when in ('_before', ''))
        found = aggregate_prototypes(*before, golden[f'{case}pairs'])
        torch.testing.assert_close(found, after[0], atol=ATOL_MEMORY, rtol=0)
        torch.testing.assert_close(before[1], after[1], atol=ATOL_MEMORY, rtol=0)

        # The same from features and clusters, through the steps of a labeller.
        features, labels = (
            [golden[f'{case}{letter}_{side}'] for side in ('vis', 'ir')] for letter in 'xy')
        modality = np.repeat([0, 1], [*map(len, features)])
        images = ImageSet(
            dict(base=torch.from_numpy(np.concatenate(features))), modality=modality,
            identity=np.full(len(modality), -1), camera=modality + 1,
            sample_idx=np.arange(len(modality)))
        clusters = np.concatenate([
            labels[0], np.where(labels[1] >= 0, labels[1] + len(before[0]), -1)])
        match = VoteMatching()(images, clusters)
        planned = AggregatedMemories()(images, clusters, clusters, match)
        for expected, (name, prototypes) in zip(after, planned.prototypes.items()):
            memory = ClusterMemory()
            memory.reset(prototypes.centroids, normalize=prototypes.normalize)
            torch.testing.assert_close(
                memory.prototypes, expected, atol=ATOL_MEMORY, rtol=0, msg=name)


def test_steps(golden):
    """From the memories of the case with the most votes."""
    case = max(cases_of(golden), key=lambda case: golden[f'{case}votes'].sum())
    before = [golden[f'{case}mem_{side}_before'] for side in ('vis', 'ir')]
    images, clusters = clusters_as_images(*before)
    match = match_of(golden[f'{case}pairs'], golden[f'{case}votes'].shape)
    labels = AggregatedMemories()(images, clusters, clusters, match)
    first = {'vis': 0, 'ir': len(before[0])}
    check_steps(golden, 'step_', 'step_', labels, dict(type='ClusterMemory', **MEMORY),
                lambda step, side: golden[f'step_s{step}_y_{side}'] + first[side])
