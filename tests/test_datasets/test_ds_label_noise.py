"""Labels made wrong on purpose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from mmvireid.datasets import LabelNoise, inject_label_noise
from mmvireid.registry import DATASETS
from mmvireid.utils.errors import ConfigError, DatasetError

LABELS, MODALITIES = np.arange(300) % 10, np.arange(300) // 150


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(2, 9), st.floats(0, 1), st.integers(0, 1000))
def test_exactly_the_share_changes_each_to_somebody_else(num, num_ids, rate, seed):
    labels = 3 * (np.arange(num) % num_ids)
    if len(np.unique(labels)) < 2:
        return
    noisy, changed = inject_label_noise(labels, rate, seed=seed)
    assert changed.sum() == int(np.ceil(round(rate * num, 9)))
    np.testing.assert_array_equal(noisy != labels, changed)
    assert set(noisy.tolist()) <= set(labels.tolist())
    again, _ = inject_label_noise(labels, rate, seed=seed)
    np.testing.assert_array_equal(again, noisy)


def test_uniform_over_images_and_over_the_other_identities():
    flips, times = np.zeros((6, 6)), np.zeros(60)
    labels = np.arange(60) % 6
    for seed in range(400):
        noisy, changed = inject_label_noise(labels, 0.5, seed=seed)
        times += changed
        np.add.at(flips, (labels[changed], noisy[changed]), 1)
    assert (np.diag(flips) == 0).all()
    assert chisquare(times).pvalue > 1e-3
    assert chisquare(flips[~np.eye(6, dtype=bool)]).pvalue > 1e-3


def test_rate_zero_is_the_identity_and_given_candidates_are_used():
    noisy, changed = inject_label_noise(LABELS, 0, seed=1)
    np.testing.assert_array_equal(noisy, LABELS)
    assert not changed.any()
    noisy, _ = inject_label_noise(LABELS, 1, seed=1, candidates=np.array([40, 41]))
    assert set(noisy.tolist()) == {40, 41}


def test_modalities_are_drawn_apart():
    """Each has its share; what happens to one does not depend on the other."""
    noisy = LabelNoise(0.2, seed=5)(LABELS, MODALITIES)
    for modality in (0, 1):
        assert (noisy != LABELS)[modality == MODALITIES].sum() == 30
    first, second = ((noisy != LABELS)[m == MODALITIES] for m in (0, 1))
    assert not np.array_equal(first, second)
    others = np.where(MODALITIES == 1, (LABELS + 1) % 10, LABELS)
    again = LabelNoise(0.2, seed=5)(others, MODALITIES)
    np.testing.assert_array_equal(again[MODALITIES == 0], noisy[MODALITIES == 0])


def test_nobody_vanishes_from_a_modality():
    """Ten people of three images: many draws would lose one."""
    labels, modalities = np.arange(60) % 10, np.arange(60) // 30
    for seed in range(20):
        noisy = LabelNoise(0.5, seed)(labels, modalities)
        for modality in (0, 1):
            own = modalities == modality
            assert set(noisy[own]) == set(range(10))
            assert (noisy != labels)[own].sum() == 15  # not twice the noise


def test_unknown_identities_stay_unknown():
    labels = np.where(np.arange(300) % 3, LABELS, -1)
    noisy = LabelNoise(1.0)(labels, MODALITIES)
    np.testing.assert_array_equal(noisy == -1, labels == -1)
    assert (noisy != labels)[labels >= 0].all()


@pytest.mark.parametrize('rate', [-0.1, 1.1, float('nan')])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(ConfigError, match='between 0 and 1'):
        inject_label_noise(LABELS, rate, seed=0)


def test_identities_that_cannot_keep_an_image_are_refused():
    with pytest.raises(DatasetError, match='as few as 1: lower the rate'):
        LabelNoise(0.5)(np.arange(200) % 100, np.arange(200) // 100)
    with pytest.raises(DatasetError, match='there is one identity: add people'):
        inject_label_noise(np.zeros(8, int), 0.5, seed=0)


def test_a_dataset_trains_on_wrong_labels_and_says_so(tiny_sysu):
    config = dict(type='SYSUMM01', data_root=str(tiny_sysu), split='trainval')
    clean = DATASETS.build(config)
    noisy, again, other = (
        DATASETS.build(dict(config, label_noise=dict(rate=0.25, seed=seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(noisy.true_labels, clean.labels)
    np.testing.assert_array_equal(clean.true_labels, clean.labels)
    np.testing.assert_array_equal(noisy.identities, clean.identities)
    wrong = noisy.labels != clean.labels
    record = noisy.metainfo['label_noise']
    assert (record['rate'], record['seed'], record['wrong']) == (0.25, 0, wrong.sum())
    for modality in (0, 1):
        own = noisy.modalities == modality
        assert wrong[own].sum() == np.ceil(0.25 * own.sum())
    assert again.metainfo['label_noise'] == record
    assert other.metainfo['label_noise']['sha256'] != record['sha256']
    assert 'label_noise' not in clean.metainfo
    # What a pipeline gets is the wrong label.
    row = int(np.flatnonzero(wrong)[0])
    assert noisy.get_data_info(row)['label'] == noisy.labels[row] != clean.labels[row]
    # A part of a dataset has its own part of both.
    subset = noisy.get_subset([row])
    assert (subset.labels[0], subset.true_labels[0]) == (noisy.labels[row], clean.labels[row])


@pytest.mark.parametrize(('noise', 'sentence'), [
    (dict(rat=0.2), 'takes no "rat": did you mean "rate"'), (dict(seed=1), 'needs a rate')])
def test_a_noise_that_cannot_be_read_is_refused(noise, sentence):
    with pytest.raises(ConfigError, match=sentence):
        LabelNoise.from_config(noise)


def test_test_labels_are_never_touched(tiny_sysu):
    with pytest.raises(ConfigError, match='split "test" is for tests'):
        DATASETS.build(dict(type='SYSUMM01', data_root=str(tiny_sysu), split='test',
                            label_noise=dict(rate=0.5)))
