"""Batches: who is in them, in what order, on which rank."""

from collections import Counter
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.datasets import DatasetError
from mmvireid.datasets.samplers import (
    CrossModalityChunkSampler,
    CrossModalityExhaustiveSampler,
    CrossModalityPKSampler,
)
from mmvireid.registry import DATA_SAMPLERS

SAMPLERS = [CrossModalityPKSampler, CrossModalityChunkSampler, CrossModalityExhaustiveSampler]


def make(visible, infrared, unknown=0):
    """A dataset with so many visible and infrared images of each identity."""
    labels = np.concatenate([np.repeat(np.arange(len(visible)), visible), [-1] * unknown,
                             np.repeat(np.arange(len(infrared)), infrared)]).astype(np.int64)
    modalities = np.repeat([0, 1], [sum(visible) + unknown, sum(infrared)])
    return SimpleNamespace(labels=labels, modalities=modalities)


def batches(sampler):
    size = sampler.num_ids * (sampler.num_visible + sampler.num_infrared)
    stream = list(sampler)
    assert len(stream) == len(sampler)
    assert len(stream) % size == 0
    return np.array(stream).reshape(-1, size)


def on_rank(monkeypatch, rank, world_size):
    monkeypatch.setattr('mmvireid.datasets.samplers.identity_sampler.get_dist_info',
                        lambda: (rank, world_size))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SAMPLERS), st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3),
       st.integers(1, 3))
def test_each_step_has_the_order_of_the_contract(kind, seed, num_ids, num_v, num_i):
    rng = np.random.default_rng(seed)
    dataset = make(rng.integers(1, 9, 6), rng.integers(1, 9, 6), unknown=2)
    sampler = kind(dataset, num_ids, num_v, num_i, seed=seed)
    for batch in batches(sampler):
        visible, infrared = batch[:num_ids * num_v], batch[num_ids * num_v:]
        assert (dataset.modalities[visible] == 0).all()
        assert (dataset.modalities[infrared] == 1).all()
        ids = dataset.labels[visible].reshape(num_ids, num_v)
        assert (ids == ids[:, :1]).all()
        assert len(set(ids[:, 0].tolist())) == num_ids
        assert (dataset.labels[infrared].reshape(num_ids, num_i) == ids[:, :1]).all()
        assert (ids >= 0).all()


@pytest.mark.parametrize('kind', SAMPLERS)
@pytest.mark.parametrize('world_size', [2, 4])
def test_ranks_share_the_step_of_one_process(kind, world_size, monkeypatch):
    dataset = make([9] * 12, [7] * 12)
    on_rank(monkeypatch, 0, 1)
    whole = batches(kind(dataset, 8, 4, 2, seed=3))
    parts = []
    for rank in range(world_size):
        on_rank(monkeypatch, rank, world_size)
        parts.append(batches(kind(dataset, 8 // world_size, 4, 2, seed=3)))
    assert all(part.shape == parts[0].shape for part in parts)
    visible = 32 // world_size
    joined = np.concatenate([p[:, :visible] for p in parts] + [p[:, visible:] for p in parts], 1)
    np.testing.assert_array_equal(joined, whole)


@pytest.mark.parametrize('kind', SAMPLERS)
def test_seed_and_epoch_decide_and_the_length_never_changes(kind):
    dataset = make([9] * 12, [7] * 12)
    first, second = kind(dataset, 8, seed=1), kind(dataset, 8, seed=1)
    epochs = []
    for epoch in range(4):
        first.set_epoch(epoch)
        epochs.append(list(first))
        assert len(epochs[-1]) == len(first)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    second.set_epoch(3)  # a resumed run starts in the middle
    assert list(second) == epochs[3] == list(second)
    assert list(kind(dataset, 8, seed=2)) != epochs[0]
    assert len(kind(dataset, 8, seed=2)) == len(first)


@pytest.mark.parametrize('kind', SAMPLERS)
def test_numpys_global_generator_is_left_alone(kind):
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    list(kind(make([9] * 8, [7] * 8), 8, seed=1))
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize(('visible', 'infrared', 'steps'), [
    ([57] * 138 + [56] * 257, [31] * 59 + [30] * 336, 695),  # SYSU-MM01: 22,258 + 11,909
    ([10] * 206, [10] * 206, 64),  # RegDB
    ([2] * 8, [1] * 8, 1),
])
def test_published_epoch_lengths_of_pk(visible, infrared, steps):
    dataset = make(visible, infrared)
    sampler = CrossModalityPKSampler(dataset, 8, 4, 4, seed=0)
    assert len(sampler) == steps * 64
    # Released loaders run floor(max(Nv, Nr) / (P K)) + 1 steps; the first ones are the same.
    longer = CrossModalityPKSampler(dataset, 8, 4, 4, seed=0, extra_step=True)
    larger = max(sum(visible), sum(infrared))
    assert len(longer) == (larger // 32 + 1) * 64
    assert list(islice(longer, 640)) == list(islice(sampler, 640))[:len(longer)]


def test_pk_reaches_every_image_and_repeats_within_small_identities():
    dataset = make([1] + [6] * 9, [6] * 9 + [1])
    sampler = CrossModalityPKSampler(dataset, 4, 4, 4, seed=0)
    seen = Counter()
    for epoch in range(60):
        sampler.set_epoch(epoch)
        seen.update(sampler)
    assert set(seen) == set(range(len(dataset.labels)))
    rows = batches(sampler)
    assert any((row == 0).sum() == 4 for row in rows)  # the only image of identity 0


def test_chunks_use_no_image_twice_within_a_deal():
    visible, infrared = [12, 9, 17, 8, 5, 30], [8, 10, 4, 12, 9, 6]
    dataset = make(visible, infrared)
    for seed in range(10):
        sampler = CrossModalityChunkSampler(dataset, 2, 4, 4, seed=seed, num_steps=3)
        stream = list(sampler)
        assert len(stream) == len(set(stream)) == 3 * 16


def test_a_deal_ends_when_too_few_identities_have_chunks_left():
    dataset = make([8, 8, 4, 80], [8, 8, 4, 80])
    sampler = CrossModalityChunkSampler(dataset, 2, 4, 4, seed=0)
    rng = np.random.default_rng(0)
    for _ in range(50):
        taken = Counter(np.concatenate(list(sampler._deal(rng))).tolist())
        left = [2 - taken[0], 2 - taken[1], 1 - taken[2], 20 - taken[3]]
        assert min(left) >= 0
        assert sum(n > 0 for n in left) < 2


def test_chunk_length_is_the_mean_deal_and_longer_epochs_deal_again():
    dataset = make([40] * 20, [24] * 20)
    sampler = CrossModalityChunkSampler(dataset, 8, 4, 4, seed=0)
    steps = len(sampler) // 64
    assert 20 * 6 / 8 * 0.8 <= steps <= 20 * 6 / 8  # 6 chunk pairs of each of 20 identities
    long = CrossModalityChunkSampler(dataset, 8, 4, 4, seed=0, num_steps=100)
    rows = batches(long)
    assert len(rows) == 100
    counts = Counter(rows.ravel().tolist())
    assert max(counts.values()) > 1  # dealt again
    with pytest.raises(ValueError, match='num_steps'):
        CrossModalityChunkSampler(dataset, num_steps=0)


def test_identity_with_less_than_a_chunk_fills_it_by_repetition():
    dataset = make([3, 1], [4, 9])
    sampler = CrossModalityChunkSampler(dataset, 2, 4, 4, seed=0, num_steps=1)
    batch = batches(sampler)[0]
    by_id = {int(dataset.labels[row[0]]): row for row in batch[:8].reshape(2, 4)}
    assert set(by_id[0].tolist()) == {0, 1, 2}  # all three, one of them twice
    assert set(by_id[1].tolist()) == {3}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_an_exhaustive_epoch_has_no_image_twice(seed):
    rng = np.random.default_rng(seed)
    visible, infrared = rng.integers(4, 20, 8), rng.integers(2, 12, 8)
    sampler = CrossModalityExhaustiveSampler(make(visible, infrared), 3, 4, 2, seed=seed)
    groups = np.minimum(visible // 4, infrared // 2)
    assert len(sampler) // 18 <= groups.sum() // 3
    for epoch in range(3):
        sampler.set_epoch(epoch)
        assert max(Counter(sampler).values()) == 1


def test_steps_of_the_released_exhaustive_sampler():
    """Of 186 steps that SYSU-MM01 has infrared images for, and all of RegDB."""
    sysu = make([57] * 138 + [56] * 257, [31] * 59 + [30] * 336)
    assert 160 <= len(CrossModalityExhaustiveSampler(sysu, 16, 4, 4, seed=0)) // 128 <= 186
    regdb = make([10] * 206, [10] * 206)
    assert 30 <= len(CrossModalityExhaustiveSampler(regdb, 12, 5, 5, seed=0)) // 120 <= 34


def test_exhaustive_repeats_images_of_an_identity_with_too_few():
    """Where the released code stops with an error."""
    dataset = make([9, 8, 3], [8, 9, 8])
    sampler = CrossModalityExhaustiveSampler(dataset, 3, 4, 4, seed=0)
    batch, = batches(sampler)
    counts = Counter(batch.tolist())
    assert {image: n for image, n in counts.items() if n > 1}.keys() <= {17, 18, 19}
    assert sum(counts[image] for image in (17, 18, 19)) == 4


@pytest.mark.parametrize('kind', SAMPLERS)
def test_identity_of_one_modality_is_left_out(kind):
    dataset = make([4, 4, 4, 0], [4, 4, 0, 4])
    sampler = kind(dataset, 2, 2, 2, seed=0)
    assert set(dataset.labels[list(sampler)].tolist()) == {0, 1}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0, 1]))
def test_pk_of_one_modality_alone(seed, num_ids, number, modality):
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 9, 6).tolist()
    others = rng.integers(0, 9, 6).tolist()  # not asked for, so nobody needs them
    numbers = (0, number) if modality else (number, 0)
    dataset = make(others, images) if modality else make(images, others)
    sampler = CrossModalityPKSampler(dataset, num_ids, *numbers, seed=seed)
    rows = batches(sampler)
    assert len(rows) == max(sum(images) // (num_ids * number), 1)
    assert (dataset.modalities[rows] == modality).all()
    ids = dataset.labels[rows].reshape(len(rows), num_ids, number)
    assert (ids == ids[..., :1]).all()
    assert all(len(set(step)) == num_ids for step in ids[..., 0].tolist())


def test_one_modality_alone_is_refused_where_it_cannot_be():
    dataset = make([4] * 6, [0] * 6)
    assert len(CrossModalityPKSampler(dataset, 6, 4, 0, seed=0)) == 24
    with pytest.raises(DatasetError, match='needs 8 identities with images of the visible mod'):
        CrossModalityPKSampler(dataset, 8, 4, 0, seed=0)
    with pytest.raises(ValueError, match='one of the others may be 0; got 2, 0 and 0'):
        CrossModalityPKSampler(dataset, 2, 0, 0, seed=0)
    for numbers in ((0, 4), (4, 0), (-1, 4)):
        with pytest.raises(ValueError, match='at least 1'):
            CrossModalityChunkSampler(dataset, 2, *numbers, seed=0)


@pytest.mark.parametrize('kind', SAMPLERS)
def test_too_few_identities_and_senseless_numbers(kind, monkeypatch):
    dataset = make([4] * 6, [4] * 6)
    with pytest.raises(DatasetError, match='needs 8 identities .* has 6: lower num_ids'):
        kind(dataset, 8, seed=0)
    on_rank(monkeypatch, 0, 2)
    with pytest.raises(DatasetError, match='needs 8 identities'):
        kind(dataset, 4, seed=0)
    with pytest.raises(ValueError, match='at least 1'):
        kind(dataset, 0)


def test_registry_builds_samplers_with_the_runners_arguments():
    sampler = DATA_SAMPLERS.build(
        {'type': 'CrossModalityPKSampler', 'num_ids': 2},
        default_args={'dataset': make([4] * 6, [4] * 6), 'seed': 5})
    assert sampler.seed == 5
    assert CrossModalityPKSampler(make([4] * 9, [4] * 9)).seed is not None
