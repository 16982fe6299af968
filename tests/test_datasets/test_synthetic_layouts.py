"""Folders, names and lists of the synthetic datasets, and the real readers on them."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from mmvireid.datasets import LLCM, SYSUMM01, RegDB, sysu_gallery
from mmvireid.datasets.synthetic import LAYOUTS, Difficulty, Request, make_synthetic
from mmvireid.utils.errors import WorkDirError

SMALL = (40, 20)


def files_of(root):
    return sorted(str(p.relative_to(root)) for p in Path(root).rglob('*') if p.is_file())


def digest(root):
    return {name: hashlib.sha1((Path(root) / name).read_bytes()).hexdigest()
            for name in files_of(root)}


def identities(root, split):
    text = (root / 'exp' / f'{split}_id.txt').read_text()
    assert text.count('\n') <= 1
    return [int(word) for word in text.split(',')]


@pytest.fixture(scope='module')
def sysu(tmp_path_factory):
    root = tmp_path_factory.mktemp('synthetic') / 'sysu'
    make_synthetic(Request('sysu', 24, test_ids=10, images_per_camera=11, size=SMALL, seed=3),
                   root, quiet=True)
    return root


@pytest.fixture(scope='module')
def regdb(tmp_path_factory):
    root = tmp_path_factory.mktemp('synthetic') / 'regdb'
    make_synthetic(Request('regdb', 12, seed=3), root, quiet=True)
    return root


@pytest.fixture(scope='module')
def llcm(tmp_path_factory):
    root = tmp_path_factory.mktemp('synthetic') / 'llcm'
    make_synthetic(Request('llcm', 18, images_per_camera=2, size=SMALL, seed=3), root, quiet=True)
    return root


@pytest.mark.parametrize('layout', LAYOUTS)
def test_same_bytes_whatever_the_number_of_workers(layout, tmp_path, forked_workers):
    request = Request(layout, 6, images_per_camera=3, size=SMALL, seed=11)
    roots = [tmp_path / name for name in ('one', 'three', 'seed')]
    make_synthetic(request, roots[0], workers=1, quiet=True)
    make_synthetic(request, roots[1], workers=3, quiet=True)
    make_synthetic(Request(layout, 6, images_per_camera=3, size=SMALL, seed=12), roots[2],
                   quiet=True)
    one, three, other = (digest(root) for root in roots)
    assert one == three
    pictures = {v for k, v in one.items() if k.endswith(('jpg', 'bmp'))}
    assert not pictures & set(other.values())


def test_sysu_names_and_counts(sysu):
    names = files_of(sysu)
    expected = {f'exp/{split}_id.{kind}' for split in ('train', 'val', 'test', 'available')
                for kind in ('txt', 'mat')}
    expected |= {'exp/rand_perm_cam.mat', 'synthetic.json'}
    assert {n for n in names if not n.endswith('.jpg')} == expected
    pictures = [n for n in names if n.endswith('.jpg')]
    assert all(re.fullmatch(r'cam[1-6]/\d{4}/\d{4}\.jpg', n) for n in pictures)
    folders = {n.rsplit('/', 1)[0] for n in pictures}
    for folder in folders:
        inside = sorted(p.name for p in (sysu / folder).iterdir())
        assert inside == [f'{k:04d}.jpg' for k in range(1, 12)]


def test_sysu_splits_share_nobody_and_cover_everybody(sysu):
    train, val, test, available = (identities(sysu, s)
                                   for s in ('train', 'val', 'test', 'available'))
    assert len(test) == 10
    assert sorted(train + val + test) == available == list(range(1, 25))
    assert val
    assert len(train) > len(val)
    for split, ids in (('train', train), ('val', val), ('test', test), ('available', available)):
        stored = loadmat(sysu / 'exp' / f'{split}_id.mat')['id']
        assert stored.shape == (1, len(ids))
        assert stored.ravel().tolist() == ids


def test_sysu_presence_as_in_the_real_dataset(sysu):
    seen = {n: {int(p.name) for p in (sysu / f'cam{n}').iterdir()} for n in range(1, 7)}
    test, train = (set(identities(sysu, 'test')),
                   set(identities(sysu, 'train') + identities(sysu, 'val')))
    assert seen[1] == seen[2]
    for ids in (test, train):
        assert len(seen[1] & ids) == round(0.58 * len(ids))
        assert ids <= seen[4] | seen[5]
        assert ids <= seen[6]


def test_sysu_permutations_have_the_official_structure(sysu):
    perm = loadmat(sysu / 'exp' / 'rand_perm_cam.mat')['rand_perm_cam']
    assert perm.shape == (6, 1)
    assert perm.dtype == object
    for row in range(6):
        people = perm[row][0]
        assert people.shape == (24, 1)
        for identity in range(1, 25):
            trials = people[identity - 1, 0]
            folder = sysu / f'cam{row + 1}' / f'{identity:04d}'
            count = len(list(folder.iterdir())) if folder.exists() else 0
            assert trials.shape == (10, count)
            assert (np.sort(trials, axis=1) == np.arange(1, count + 1)).all()
            if count:
                assert len({tuple(t) for t in trials}) > 1


def test_sysu_reader_and_both_gallery_protocols(sysu):
    ids = identities(sysu, 'test')
    cameras = {n: {int(p.name) for p in (sysu / f'cam{n}').iterdir()} & set(ids)
               for n in range(1, 7)}
    for source in ('random_seed', 'official'):
        for mode, numbers in (('all', (1, 2, 4, 5)), ('indoor', (1, 2))):
            gallery = sysu_gallery(str(sysu), mode=mode, shot=1, trial=1, source=source)
            assert len(gallery) == sum(len(cameras[n]) for n in numbers)
            assert all(Path(sysu, path).is_file() for path in gallery)
    assert len(sysu_gallery(str(sysu), mode='all', shot=10, trial=1, source='official')) == \
        10 * sum(len(cameras[n]) for n in (1, 2, 4, 5))
    train = SYSUMM01(str(sysu), split='trainval')
    assert train.num_ids == 14
    assert set(train.cameras.tolist()) == {1, 2, 3, 4, 5, 6}
    assert (np.isin(train.cameras, (3, 6)) == (train.modalities == 1)).all()


def test_regdb_names_lists_and_reader(regdb):
    names = files_of(regdb)
    pictures = [n for n in names if n.endswith('.bmp')]
    assert len(pictures) == 12 * 20
    pattern = r'(Visible|Thermal)/(\d+)/(male|female)_(front|back)_([vt])_\d{5}_(\d+)\.bmp'
    found = [re.fullmatch(pattern, n) for n in pictures]
    assert all(found)
    assert all(m[2] == m[6] and (m[1] == 'Visible') == (m[5] == 'v') for m in found)
    assert cv2.imread(str(regdb / pictures[0])).shape == (128, 64, 3)
    lists = {f'idx/{s}_{m}_{t}.txt' for s in ('train', 'test') for m in ('visible', 'thermal')
             for t in range(1, 11)}
    assert set(names) - set(pictures) == lists | {'synthetic.json'}
    splits = set()
    for trial in range(1, 11):
        people = {}
        for split in ('train', 'test'):
            for modality in ('visible', 'thermal'):
                lines = (regdb / f'idx/{split}_{modality}_{trial}.txt').read_text().splitlines()
                pairs = [line.split(' ') for line in lines]
                assert len(pairs) == 60
                assert all(path in pictures for path, _ in pairs)
                label = {path.split('/')[1]: int(label) for path, label in pairs}
                assert sorted(label.values()) == list(range(6))
                assert people.setdefault(split, label) == label
        assert not set(people['train']) & set(people['test'])
        splits.add(tuple(people['test']))
        assert RegDB(str(regdb), split='train', trial=trial).num_ids == 6
    assert len(splits) > 1


def test_llcm_names_lists_and_reader(llcm):
    names = files_of(llcm)
    pictures = [n for n in names if n.endswith('.jpg')]
    assert set(names) - set(pictures) == {
        'idx/train_vis.txt', 'idx/train_nir.txt', 'idx/test_vis.txt', 'idx/test_nir.txt',
        'idx/test_id.txt', 'synthetic.json'}
    test = [int(word) for word in (llcm / 'idx/test_id.txt').read_text().split(',')]
    assert len(test) == round(18 * 351 / 1064)
    name = r'(\d{4})/(\d{4})_c(\d\d)_s\d{6}_f\d+_(vis|nir)\.jpg'
    for path in pictures:
        train = re.fullmatch('(vis|nir)/' + name, path)
        copy = re.fullmatch(r'test_(vis|nir)/cam(\d)/' + name, path)
        assert train or copy
        if copy:
            assert int(copy[2]) == int(copy[5])
            assert int(copy[3]) in test
            original = llcm / copy[1] / copy[3] / Path(path).name
            assert original.read_bytes() == (llcm / path).read_bytes()
        elif int(train[2]) in test:
            camera = int(train[4])
            folder = llcm / f'test_{train[1]}' / f'cam{camera}' / train[2]
            assert (folder / Path(path).name).exists()
    assert not (llcm / 'test_nir' / 'cam3').exists()
    assert not [n for n in pictures if n.startswith('nir') and '_c03_' in n]
    listed = [line.split(' ') for split in ('train', 'test') for kind in ('vis', 'nir')
              for line in (llcm / f'idx/{split}_{kind}.txt').read_text().splitlines()]
    assert sorted(p for p, _ in listed) == [n for n in pictures if n[0] in 'vn']
    train = LLCM(str(llcm), split='train')
    assert train.num_ids == 18 - len(test)
    assert len(train) + len(LLCM(str(llcm), split='test')) == len(listed)


def test_every_infrared_file_is_grey_and_has_three_channels(sysu, regdb, llcm):
    for root, pattern, grey in ((sysu, 'cam3/*/0001.jpg', True), (sysu, 'cam6/*/0001.jpg', True),
                                (sysu, 'cam1/*/0001.jpg', False), (regdb, 'Thermal/*/*.bmp', True),
                                (regdb, 'Visible/*/*.bmp', False), (llcm, 'nir/*/*.jpg', True),
                                (llcm, 'vis/*/*.jpg', False)):
        paths = sorted(root.glob(pattern))[:20]
        assert paths
        for path in paths:
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert image.ndim == 3
            assert (np.ptp(image.astype(int), axis=2).max() == 0) == grey


def test_sizes_vary_like_a_detector_but_not_in_regdb(sysu, regdb):
    def shapes(paths):
        return {cv2.imread(str(p)).shape[:2] for p in paths}
    assert len(shapes(sysu.glob('cam4/*/0001.jpg'))) > 5
    assert shapes(regdb.glob('*/1/*.bmp')) == {(128, 64)}


def test_manifest_lies_where_no_reader_looks(sysu):
    manifest = json.loads((sysu / 'synthetic.json').read_text())
    assert manifest['complete']
    assert manifest['request']['ids'] == 24
    assert manifest['num_images'] == len([n for n in files_of(sysu) if n.endswith('.jpg')])
    assert 'no evidence' in manifest['note']


def test_an_interrupted_run_is_finished(tmp_path):
    request = Request('sysu', 5, images_per_camera=2, size=SMALL)
    make_synthetic(request, tmp_path / 'whole', quiet=True)
    make_synthetic(request, tmp_path / 'cut', quiet=True)
    manifest = tmp_path / 'cut' / 'synthetic.json'
    manifest.write_text(manifest.read_text().replace('"complete": true', '"complete": false'))
    victim = next((tmp_path / 'cut' / 'cam6').rglob('*.jpg'))
    victim.write_bytes(victim.read_bytes()[:50])
    next((tmp_path / 'cut' / 'cam4').rglob('*.jpg')).unlink()
    assert not make_synthetic(request, tmp_path / 'cut', quiet=True).skipped
    assert digest(tmp_path / 'cut') == digest(tmp_path / 'whole')


def test_a_missing_picture_is_drawn_again(tmp_path):
    request = Request('sysu', 5, images_per_camera=2, size=SMALL)
    make_synthetic(request, tmp_path, quiet=True)
    assert make_synthetic(request, tmp_path, quiet=True).skipped
    victim = next((tmp_path / 'cam4').rglob('*.jpg'))
    victim.unlink()
    assert not make_synthetic(request, tmp_path, quiet=True).skipped
    assert victim.exists()


@pytest.mark.parametrize(('changes', 'message'), [
    ({'layout': 'market'}, 'layout must be one of llcm, regdb, sysu'),
    ({'ids': 3}, '4 to 9999'),
    ({'test_ids': 5}, 'leave 2 on either side'),
    ({'images_per_camera': 0}, '1 to 999'),
    ({'size': (8, 900)}, '16 to 512'),
    ({'seed': -1}, 'must not be negative'),
])
def test_bad_requests_are_refused_before_anything_is_written(tmp_path, changes, message):
    values = {'layout': 'sysu', 'ids': 6, **changes}
    with pytest.raises(ValueError, match=message):
        make_synthetic(Request(**values), tmp_path / 'out', quiet=True)
    assert not (tmp_path / 'out').exists()


def test_another_difficulty_is_another_dataset(tmp_path):
    make_synthetic(Request('sysu', 4, images_per_camera=1, size=(32, 32)), tmp_path, quiet=True)
    harder = Request('sysu', 4, images_per_camera=1, size=(32, 32),
                     difficulty=Difficulty(occlusion=2))
    with pytest.raises(FileExistsError, match='another synthetic dataset'):
        make_synthetic(harder, tmp_path, quiet=True)


def test_a_folder_from_before_a_strength_existed_is_known(tmp_path):
    request = Request('sysu', 4, images_per_camera=1, size=(32, 32))
    make_synthetic(request, tmp_path, quiet=True)
    path = tmp_path / 'synthetic.json'
    manifest = json.loads(path.read_text())
    del manifest['request']['difficulty']['modality_gap']
    path.write_text(json.dumps(manifest))
    assert make_synthetic(request, tmp_path, quiet=True).skipped
    with pytest.raises(FileExistsError, match='another synthetic dataset'):
        make_synthetic(replace(request, difficulty=Difficulty(modality_gap=0.5)), tmp_path,
                       quiet=True)


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    request = Request('sysu', 5, images_per_camera=1, size=SMALL)
    make_synthetic(request, tmp_path, workers=1, quiet=True)
    picture = min(tmp_path.rglob('*.jpg'))
    picture.unlink()
    picture.mkdir()
    with pytest.raises(WorkDirError, match=f'"{re.escape(str(picture))}" cannot be written'):
        make_synthetic(request, tmp_path, workers=1, quiet=True)


def test_a_file_or_foreign_manifest_in_the_way_is_named(tmp_path):
    request = Request('sysu', 4)
    (tmp_path / 'file').write_text('')
    with pytest.raises(FileExistsError, match='is a file; give a folder'):
        make_synthetic(request, tmp_path / 'file', quiet=True)
    (tmp_path / 'synthetic.json').write_text('{"comp')
    with pytest.raises(FileExistsError, match='cannot be read'):
        make_synthetic(request, tmp_path, quiet=True)
    with pytest.raises(ValueError, match='workers must be at least 1'):
        make_synthetic(request, tmp_path / 'new', workers=0, quiet=True)


def test_workers_start_beside_threads_of_opencv(tmp_path):
    """A caller that has used OpenCV's threads must not wait forever."""
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(4)
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (31, 31), 5)
        request = Request('sysu', ids=4, test_ids=2, images_per_camera=2, size=(32, 16))
        assert make_synthetic(request, tmp_path, workers=2, quiet=True).num_images > 0
    finally:
        cv2.setNumThreads(threads)
