"""Batches of pseudo identities."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmvireid.datasets import SYSUMM01, ClusterSampler, DatasetError, LoadReIDImage, PackReIDInputs
from mmvireid.structures import PseudoLabels


class Images:
    """Annotations of N images."""

    def __init__(self, modalities, cameras):
        self.modalities, self.cameras = np.array(modalities), np.array(cameras)

    def __len__(self):
        return len(self.modalities)


def random_images(seed, n=120, num_cameras=3):
    rng = np.random.default_rng(seed)
    return Images(rng.integers(0, 2, n), rng.integers(1, 1 + num_cameras, n)), rng


def label(sampler, labels, branch='intra'):
    sampler.set_labels({branch: PseudoLabels(np.asarray(labels))})


def steps(sampler):
    stream = list(sampler)
    assert len(stream) == len(sampler)
    return np.array(stream).reshape(sampler.num_steps, -1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 3), st.integers(1, 3), st.integers(1, 6),
       st.booleans())
def test_each_step_has_the_shape_and_rule_of_the_contract(seed, num_v, num_i, k, camera_aware):
    images, rng = random_images(seed)
    labels = rng.integers(-1, 5, len(images))
    sampler = ClusterSampler(images, ['intra'], num_v, num_i, k, 7, camera_aware, seed=seed)
    label(sampler, labels)
    for row in steps(sampler):
        visible, infrared = row[:num_v * k], row[num_v * k:]
        assert (images.modalities[visible] == 0).all()
        assert (images.modalities[infrared] == 1).all()
        assert (labels[row] >= 0).all()
        for part, number in ((visible, num_v), (infrared, num_i)):
            groups = part.reshape(number, k)
            assert all(len(set(labels[group])) == 1 for group in groups)
            # Five clusters are enough for three different ones per step.
            assert len({labels[group[0]] for group in groups}) == number
            for group in groups:
                check_group(images, labels, group, camera_aware)


def check_group(images, labels, group, camera_aware):
    """The naive statement of what may follow the first image."""
    first, rest = group[0], group[1:]
    others = [i for i in range(len(images)) if i != first and labels[i] == labels[first]
              and images.modalities[i] == images.modalities[first]]
    elsewhere = [i for i in others if images.cameras[i] != images.cameras[first]]
    allowed = elsewhere if camera_aware and elsewhere else others
    if not allowed:
        assert set(rest) <= {first}
        return
    assert set(rest) <= set(allowed)
    if len(allowed) >= len(rest):
        assert len(set(rest)) == len(rest)


def test_clusters_come_in_turn_before_any_comes_again():
    images = Images([1] * 24, [3] * 24)
    labels = np.repeat(np.arange(8), 3)
    sampler = ClusterSampler(images, ['intra'], 0, 4, 2, num_steps=10, seed=0)
    label(sampler, labels)
    rows = steps(sampler)
    for pair in rows.reshape(5, 2, 8):  # two steps go through all eight clusters
        assert sorted(labels[pair.ravel()[::2]].tolist()) == list(range(8))


def test_incomplete_round_is_dropped():
    images = Images([0] * 30, [1] * 30)
    labels = np.repeat(np.arange(10), 3)
    sampler = ClusterSampler(images, ['intra'], 4, 0, 1, num_steps=100, seed=0)
    label(sampler, labels)
    rows = labels[steps(sampler)]
    assert all(len(set(pair.ravel().tolist())) == 8 for pair in rows.reshape(50, 2, 4))
    counts = Counter(rows.ravel().tolist())
    assert min(counts.values()) > 20


def test_fewer_clusters_than_a_step_needs_repeat():
    images = Images([0] * 6, [1] * 6)
    sampler = ClusterSampler(images, ['intra'], 5, 0, 2, num_steps=3, seed=0)
    label(sampler, np.repeat([0, 1], 3))
    rows = steps(sampler)
    assert rows.shape == (3, 10)
    assert set(rows.ravel().tolist()) == set(range(6))


def test_new_labels_count_from_the_next_epoch_and_stay_a_copy():
    images, rng = random_images(0)
    labels = rng.integers(0, 4, len(images))
    sampler = ClusterSampler(images, ['intra'], 2, 2, 4, 5, seed=1)
    label(sampler, labels)
    first = list(sampler)
    labels[:] = -1
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    label(sampler, np.where(np.arange(len(images)) < 60, -1, 0))
    assert min(sampler) >= 60


@pytest.mark.parametrize('num_workers', [0, 1])
def test_each_image_brings_the_branch_it_was_drawn_from(tiny_sysu, num_workers):
    dataset = SYSUMM01(tiny_sysu, pipeline=[LoadReIDImage(size=(8, 4)), PackReIDInputs()])
    sampler = ClusterSampler(dataset, ['intra', 'cross', 'intra'], 2, 1, 2, num_steps=3, seed=0)
    sampler.set_labels({branch: PseudoLabels(dataset.labels) for branch in sampler.turns})
    loader = DataLoader(dataset, 6, sampler=sampler, collate_fn=pseudo_collate,
                        num_workers=num_workers)
    found = [{sample.branch for sample in batch['data_samples']} for batch in loader]
    assert found == 3 * [{'intra'}, {'cross'}, {'intra'}]
    drawn = [sample.sample_idx for batch in loader for sample in batch['data_samples']]
    assert drawn == list(sampler)
    assert 'branch' not in dataset[3]['data_samples']


def test_turns_of_a_branch_without_labels_go_to_the_others():
    images = Images([0] * 12, [1] * 12)
    sampler = ClusterSampler(images, ['cross', 'intra'], 2, 0, 2, num_steps=3, seed=0)
    halves = {name: PseudoLabels(np.where((np.arange(12) < 6) == first, np.arange(12) % 3, -1))
              for name, first in (('intra', True), ('cross', False))}

    def branches():
        stream = list(sampler)
        assert len(stream) == len(sampler) == 24
        assert all((index < 6) == (index.branch == 'intra') for index in stream)
        return [index.branch for index in stream[::4]]

    sampler.set_labels({'intra': halves['intra']})
    assert branches() == 6 * ['intra']
    sampler.set_labels(halves)
    assert branches() == 3 * ['cross', 'intra']


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_share_the_step_of_one_process(world_size, monkeypatch):
    images, rng = random_images(3, n=300)
    labels = rng.integers(-1, 20, len(images))

    def run(rank, size):
        monkeypatch.setattr('mmvireid.datasets.samplers.cluster_sampler.get_dist_info',
                            lambda: (rank, size))
        sampler = ClusterSampler(images, ['intra'], 6 // size, 12 // size, 4, 9, seed=2)
        label(sampler, labels)
        return steps(sampler)

    whole = run(0, 1)
    parts = [run(rank, world_size) for rank in range(world_size)]
    cut = 24 // world_size
    joined = np.concatenate([p[:, :cut] for p in parts] + [p[:, cut:] for p in parts], axis=1)
    np.testing.assert_array_equal(joined, whole)


def test_what_cannot_be_sampled_is_said():
    images = Images([0, 0, 1, 1], [1, 1, 3, 3])
    sampler = ClusterSampler(images, ['intra'], 1, 1, 2, 1, seed=0)
    with pytest.raises(RuntimeError, match='must call set_labels'):
        list(sampler)
    with pytest.raises(ValueError, match='4 images need as many pseudo labels'):
        label(sampler, np.zeros(3))
    label(sampler, [0, 0, -1, -1])
    with pytest.raises(DatasetError, match='found no infrared cluster: check its eps'):
        list(sampler)
    with pytest.raises(ValueError, match='none of the turns .*intra.* has labels'):
        label(sampler, np.zeros(4), 'cross')
    for turns in ([], 'intra'):
        with pytest.raises(ValueError, match='turns must list at least one branch'):
            ClusterSampler(images, turns)
    with pytest.raises(ValueError, match='a step needs clusters'):
        ClusterSampler(images, ['intra'], 0, 0)
    with pytest.raises(ValueError, match='a step needs clusters'):
        ClusterSampler(images, ['intra'], num_steps=0)
