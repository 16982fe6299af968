"""Galleries against the numbers computed from the official files."""

import hashlib
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from mmvireid.datasets.sysu_mm01_counts import sysu_expected_counts, sysu_expected_identities
from mmvireid.evaluation.functional import protocols


@pytest.fixture(scope='module')
def sysu_test():
    """Identity, camera and 1-based position of all images of the test identities."""
    wanted = set(sysu_expected_identities()['test'])
    rows = np.array([(camera, identity, position)
                     for (camera, identity), n in sorted(sysu_expected_counts().items())
                     if identity in wanted for position in range(1, n + 1)])
    return rows


def draw(rows, **kwargs):
    picked = protocols.sample_sysu_gallery(rows[:, 1], rows[:, 0], **kwargs)
    return [tuple(row) for row in rows[picked].tolist()]


def digest(gallery):
    return hashlib.sha1(repr(gallery).encode()).hexdigest()[:12]


def test_counts_are_the_published_ones():
    counts, splits = sysu_expected_counts(), sysu_expected_identities()
    visible = {k: n for k, n in counts.items() if k[0] in protocols.SYSU_VISIBLE_CAMERAS}
    infrared = {k: n for k, n in counts.items() if k[0] in protocols.SYSU_INFRARED_CAMERAS}
    assert (sum(visible.values()), sum(infrared.values())) == (30071, 15792)
    assert [len(splits[s]) for s in ('train', 'val', 'test')] == [296, 99, 96]
    trainval = {*splits['train'], *splits['val']}
    assert len(trainval) == 395
    assert sum(n for (_, i), n in visible.items() if i in trainval) == 22258
    assert sum(n for (_, i), n in infrared.items() if i in trainval) == 11909
    test = {(c, i): n for (c, i), n in counts.items() if i in splits['test']}
    per_camera = {c: (sum(n for (k, _), n in test.items() if k == c),
                      sum(k == c for k, _ in test)) for c in range(1, 7)}
    assert per_camera == {1: (1374, 56), 2: (1565, 56), 3: (1883, 93), 4: (1918, 94),
                          5: (1918, 95), 6: (1920, 96)}
    assert min(n for (c, _), n in test.items() if c in protocols.SYSU_VISIBLE_CAMERAS) == 13


def test_random_seed_galleries_equal_the_known_digests(sysu_test):
    every = draw(sysu_test, mode='all', trial=0)
    indoor = draw(sysu_test, mode='indoor', trial=0)
    assert every[:6] == [(1, 6, 25), (2, 6, 25), (4, 6, 14), (5, 6, 2), (1, 10, 17),
                         (2, 10, 17)]
    assert (len(every), digest(every)) == (301, '22afb2eeb09f')
    assert (len(indoor), digest(indoor)) == (112, '3b1aabb2b181')


@pytest.mark.parametrize(('mode', 'cameras'), [('all', (1, 2, 4, 5)), ('indoor', (1, 2))])
def test_random_seed_equals_the_global_generator(sysu_test, mode, cameras):
    counts = sysu_expected_counts()
    for trial in range(10):
        random.seed(trial)
        expected = [(c, i, random.choice(range(1, counts[c, i] + 1)))
                    for i in sorted(sysu_expected_identities()['test']) for c in cameras
                    if (c, i) in counts]
        assert draw(sysu_test, mode=mode, trial=trial) == expected


def test_sampling_leaves_the_global_generators_alone(sysu_test):
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()
    draw(sysu_test, trial=3)
    draw(sysu_test, trial=3, shot=10)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_multi_shot_takes_ten_different_images_of_each_folder(sysu_test):
    every = draw(sysu_test, shot=10, trial=4)
    assert len(every) == len(set(every)) == 3010
    assert len(draw(sysu_test, mode='indoor', shot=10, trial=4)) == 1120
    folders = {(c, i) for c, i, _ in every}
    assert all(sum((c, i) == f for c, i, _ in every) == 10 for f in list(folders)[:20])
    generator = random.Random(4)
    first = generator.sample(range(1, sysu_expected_counts()[1, 6] + 1), 10)
    assert [p for _, _, p in every[:10]] == first


def test_queries_are_all_infrared_images_in_both_modes(sysu_test):
    for mode, unmatched in (('all', 0), ('indoor', 1595)):
        queries, gallery = protocols.sysu_trial(
            sysu_test[:, 1], sysu_test[:, 0], mode=mode, trial=0)
        assert len(queries) == 3803
        camera, identity = sysu_test[:, 0], sysu_test[:, 1]
        matches = identity[queries][:, None] == identity[gallery]
        matches &= ~((camera[queries] == 3)[:, None] & (camera[gallery] == 2))
        assert (~matches.any(axis=1)).sum() == unmatched


def write_permutations(path, counts, trials=10, seed=0):
    """A file with the cells of the official one; returns what it should read as."""
    rng = np.random.default_rng(seed)
    cells = np.empty((6, 1), dtype=object)
    expected = {}
    for camera in range(1, 7):
        people = np.empty((max(i for _, i in counts), 1), dtype=object)
        for identity in range(1, len(people) + 1):
            n = counts.get((camera, identity), 0)
            draws = np.array([rng.permutation(n) + 1 for _ in range(trials)])
            people[identity - 1, 0] = draws if n else np.zeros((0, 0))
            if n:
                expected[camera, identity] = draws
        cells[camera - 1, 0] = people
    savemat(path, {'rand_perm_cam': cells})
    return expected


def test_official_galleries_follow_the_permutation_file(sysu_test, tmp_path):
    counts = sysu_expected_counts()
    expected = write_permutations(tmp_path / 'rand_perm_cam.mat', counts)
    permutations = protocols.load_sysu_permutations(tmp_path / 'rand_perm_cam.mat')
    assert permutations.keys() == expected.keys() == counts.keys()
    for trial in (0, 9):
        for shot in (1, 10):
            gallery = draw(sysu_test, source='official', shot=shot, trial=trial,
                           permutations=permutations)
            assert gallery == [
                (c, i, int(p)) for i in sorted(sysu_expected_identities()['test'])
                for c in (1, 2, 4, 5) if (c, i) in counts
                for p in expected[c, i][trial, :shot]]
    with pytest.raises(ValueError, match='trials 0 .. 9, not 10'):
        draw(sysu_test, source='official', trial=10, permutations=permutations)


def test_official_first_trial_of_the_real_file(sysu_test, repo_root):
    """The first positions of the real file: another protocol than the random seed."""
    fixture = repo_root / 'tests' / 'fixtures' / 'sysu_official_trial0.json'
    first = [tuple(row) for row in json.loads(fixture.read_text())['rows']]
    counts = sysu_expected_counts()
    permutations = {}
    for camera, identity, position in first:
        others = [p for p in range(1, counts[camera, identity] + 1) if p != position]
        permutations[camera, identity] = np.array([[position, *others]])
    gallery = draw(sysu_test, source='official', trial=0, permutations=permutations)
    assert gallery == first
    assert gallery[:4] == [(1, 6, 5), (2, 6, 7), (4, 6, 10), (5, 6, 15)]
    assert digest(gallery) == 'dda9ac332747'
    assert len(set(gallery) & set(draw(sysu_test, trial=0))) == 16


def test_rows_may_come_in_any_order_if_names_are_given(sysu_test):
    names = [f'cam{c}/{i:04d}/{p:04d}.jpg' for c, i, p in sysu_test]
    shuffled = np.random.default_rng(0).permutation(len(sysu_test))
    rows = protocols.sample_sysu_gallery(
        sysu_test[shuffled, 1], sysu_test[shuffled, 0], [names[k] for k in shuffled], trial=2)
    gallery = [tuple(row) for row in sysu_test[shuffled][rows].tolist()]
    assert gallery == draw(sysu_test, trial=2)


def test_folder_with_fewer_images_than_shots_gives_all():
    rows = protocols.sample_sysu_gallery(
        np.array([1, 1, 1]), np.array([1, 1, 3]), shot=10, trial=0)
    assert sorted(rows.tolist()) == [0, 1]


def test_empty_gallery_is_empty():
    assert protocols.sample_sysu_gallery(np.array([1]), np.array([3])).shape == (0, )


@pytest.mark.parametrize(('kwargs', 'message'), [
    ({'mode': 'outdoor'}, 'search modes'),
    ({'source': 'dice'}, 'come from'),
    ({'source': 'official'}, 'needs the permutations'),
    ({'shot': 0}, 'at least 1'),
    ({'trial': -1}, 'at least 0'),
    ({'order': ['a']}, 'one entry per image'),
    ({'source': 'official', 'permutations': {}}, 'no entry for camera 1 and identity 3'),
    ({'source': 'official', 'permutations': {(1, 3): np.array([[1, 2, 3]])}},
     'expects 3 images of identity 3 in camera 1 but there are 2'),
])
def test_arguments_without_meaning(kwargs, message):
    with pytest.raises(ValueError, match=message):
        protocols.sample_sysu_gallery(np.array([3, 3]), np.array([1, 1]), **kwargs)


def test_permutation_file_missing_or_foreign(tmp_path):
    with pytest.raises(protocols.ProtocolError, match="or use source='random_seed'"):
        protocols.load_sysu_permutations(tmp_path / 'rand_perm_cam.mat')
    savemat(tmp_path / 'other.mat', {'something': np.eye(2)})
    with pytest.raises(protocols.ProtocolError, match='copy it again'):
        protocols.load_sysu_permutations(tmp_path / 'other.mat')
    (tmp_path / 'text.mat').write_text('this is not a MATLAB file at all')
    with pytest.raises(protocols.ProtocolError, match='copy it again'):
        protocols.load_sysu_permutations(tmp_path / 'text.mat')


def test_regdb_directions():
    modalities = np.array([0, 1, 0, 1, 1])
    query, gallery = protocols.regdb_trial(modalities, direction='v2t')
    assert (query.tolist(), gallery.tolist()) == ([0, 2], [1, 3, 4])
    query, gallery = protocols.regdb_trial(modalities, direction='t2v')
    assert (query.tolist(), gallery.tolist()) == ([1, 3, 4], [0, 2])
    with pytest.raises(ValueError, match='directions'):
        protocols.regdb_trial(modalities, direction='v2i')


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9), st.integers(0, 1000), st.sampled_from(['paper', 'repo']),
       st.sampled_from(['v2i', 'i2v']))
def test_llcm_trials_equal_a_naive_draw(trial, seed, protocol, direction):
    rng = np.random.default_rng(seed)
    identity, camera = rng.integers(1, 5, 60), rng.integers(1, 4, 60)
    modality = rng.integers(0, 2, 60)
    sampled_modality = 1 if direction == 'v2i' else 0
    random.seed(trial)
    sampled = []
    for i in sorted(set(identity)):
        for c in sorted(set(camera)):
            rows = [k for k in range(60)
                    if (identity[k], camera[k], modality[k]) == (i, c, sampled_modality)]
            if rows:
                sampled.append(random.choice(rows))
    whole = [k for k in range(60) if modality[k] != sampled_modality]
    query, gallery = protocols.llcm_trial(
        identity, camera, modality, direction=direction, trial=trial, protocol=protocol)
    if direction == 'v2i' and protocol == 'repo':
        assert (query.tolist(), gallery.tolist()) == (sampled, whole)
    else:
        assert (query.tolist(), gallery.tolist()) == (whole, sampled)
    order = [f'{k:03d}' for k in range(60)]
    again = protocols.llcm_trial(identity, camera, modality, order, direction=direction,
                                 trial=trial, protocol=protocol)
    assert (again[0].tolist(), again[1].tolist()) == (query.tolist(), gallery.tolist())


def test_llcm_arguments_without_meaning():
    one = np.array([1])
    with pytest.raises(ValueError, match='directions'):
        protocols.llcm_trial(one, one, one, direction='v2t')
    with pytest.raises(ValueError, match='protocols'):
        protocols.llcm_trial(one, one, one, direction='v2i', protocol='blog')
