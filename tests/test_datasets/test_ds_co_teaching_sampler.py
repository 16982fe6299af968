"""Batches of several networks, and batches that know nothing of identities."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from mmvireid.datasets import (
    CoTeachingSampler,
    CrossModalityPKSampler,
    CrossModalityShuffledSampler,
)
from mmvireid.utils.errors import ConfigError, DatasetError

PEOPLE = SimpleNamespace(
    labels=np.concatenate([np.arange(40) % 8, np.arange(24) % 8, [-1, -1]]),
    modalities=np.repeat([0, 1, 0], [40, 24, 2]))


def on_rank(monkeypatch, rank, world_size):
    for module in ('identity_sampler', 'shuffled_sampler'):
        monkeypatch.setattr(f'mmvireid.datasets.samplers.{module}.get_dist_info',
                            lambda: (rank, world_size))


def passes(sampler):
    """Give the batches of each member: name -> (steps, images)."""
    stream, size = list(sampler), sampler.num_ids * (sampler.num_visible + sampler.num_infrared)
    assert len(stream) == len(sampler)
    names = [index.branch for index in stream]
    assert names == sorted(names)  # one after the other
    return {name: np.array([i for i in stream if i.branch == name]).reshape(-1, size)
            for name in sampler.members}


@pytest.mark.parametrize('num_members', [1, 2, 3])
def test_each_member_has_a_pass_of_its_own(num_members):
    sampler = CoTeachingSampler(PEOPLE, 4, 2, 2, seed=3, num_members=num_members)
    plain = CrossModalityPKSampler(PEOPLE, 4, 2, 2, seed=3)
    sampler.set_epoch(1)
    plain.set_epoch(1)
    found = passes(sampler)
    assert len(found) == num_members
    for batches in found.values():
        assert batches.shape == (plain.num_steps, 16)
        assert (PEOPLE.modalities[batches] == np.repeat([0, 1], 8)).all()
        ids = PEOPLE.labels[batches].reshape(-1, 2, 4, 2)
        assert (ids == ids[:, :1, :, :1]).all()
    assert len({batches.tobytes() for batches in found.values()}) == num_members
    np.testing.assert_array_equal(found['member_1'].ravel(), list(plain))


def test_warm_up_goes_through_all_images_in_the_same_order_for_all():
    sampler = CoTeachingSampler(PEOPLE, 4, 2, 2, seed=3, warmup_epochs=2, extra_step=True)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        first, second = passes(sampler).values()
        assert np.array_equal(first, second) == (epoch < 2)
        orders.append(first)
        assert len(first) == sampler.num_steps == 6  # floor(40 / 8) + 1, in every epoch
    for order in orders[:2]:
        visible, infrared = order[:, :8].ravel(), order[:, 8:].ravel()
        assert set(visible[:40]) == set(range(40))  # whoever is unknown is left out
        for shuffle in (infrared[:24], infrared[24:]):
            assert set(shuffle) == set(range(40, 64))
    assert not np.array_equal(orders[0], orders[1])


@pytest.mark.parametrize('epoch', [0, 1])
def test_ranks_share_the_steps_of_one_process(epoch, monkeypatch):
    on_rank(monkeypatch, 0, 1)
    whole = CoTeachingSampler(PEOPLE, 4, 2, 2, seed=1)
    whole.set_epoch(epoch)
    parts = []
    for rank in range(2):
        on_rank(monkeypatch, rank, 2)
        sampler = CoTeachingSampler(PEOPLE, 2, 2, 2, seed=1)
        sampler.set_epoch(epoch)
        parts.append(passes(sampler))
    for name, batches in passes(whole).items():
        joined = np.concatenate(
            [p[name][:, :4] for p in parts] + [p[name][:, 4:] for p in parts], 1)
        np.testing.assert_array_equal(joined, batches)


def test_shuffled_batches_repeat_the_smaller_modality_alone():
    sampler = CrossModalityShuffledSampler(PEOPLE, 8, 8, seed=0)
    drawn = Counter(sampler)
    assert len(sampler) == sum(drawn.values()) == 80
    assert [drawn[i] for i in range(40)] == [1] * 40
    assert {drawn[i] for i in range(40, 64)} == {1, 2}
    assert not drawn[64]


def test_identities_with_few_images_are_left_out():
    """Wrong labels leave somebody with hardly any image of theirs."""
    labels = np.concatenate([np.arange(40) % 8, np.arange(24) % 8])
    labels[:32:8] = 1  # identity 0 keeps one visible image
    people = SimpleNamespace(labels=labels, modalities=np.repeat([0, 1], [40, 24]))
    sampler = CoTeachingSampler(people, 4, 2, 2, seed=0, min_images=3)
    for epoch in range(1, 4):
        sampler.set_epoch(epoch)
        assert 0 not in labels[list(sampler)]
    with pytest.raises(DatasetError, match='at least 4 images of both modalities'):
        CoTeachingSampler(people, 4, 2, 2, seed=0, min_images=4)


@pytest.mark.parametrize('arguments', [
    dict(num_members=0), dict(warmup_epochs=-1), dict(num_steps=0), dict(min_images=0),
    dict(num_infrared=0)])
def test_numbers_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ConfigError, match='at least 1'):
        CoTeachingSampler(PEOPLE, 4, seed=0, **arguments)
    with pytest.raises(ConfigError, match='at least 1'):
        CrossModalityShuffledSampler(PEOPLE, 0, 4)
