"""tools/misc/check_dataset.py and the functions behind it."""

import itertools
import runpy
import sys

import pytest
from ds_layouts import llcm_layout, regdb_layout, sysu_layout, touch

from mmvireid.datasets import DatasetError, check_dataset, integrity


def findings(root, dataset, **kwargs):
    return [(f.kind, f.where) for f in check_dataset(root, dataset, **kwargs)]


@pytest.fixture
def sysu(full_sysu):
    """The full dataset, put back after the test."""
    touch(full_sysu / 'exp' / 'rand_perm_cam.mat')
    yield full_sysu
    (full_sysu / 'exp' / 'rand_perm_cam.mat').unlink()


def test_complete_sysu_has_no_findings_and_each_change_is_named(sysu):
    assert check_dataset(str(sysu), 'sysu') == []
    image, stray = sysu / 'cam4' / '0006' / '0003.jpg', sysu / 'cam1' / '0010' / 'Thumbs.db'
    image.unlink()
    stray.touch()
    touch(sysu / 'cam5' / '0006' / '0099.jpg')
    last = sorted((sysu / 'cam6' / '0006').iterdir())[-1]
    last.unlink()
    try:
        found = check_dataset(str(sysu), 'sysu')
    finally:
        touch(image)
        touch(last)
        stray.unlink()
        (sysu / 'cam5' / '0006' / '0099.jpg').unlink()
    assert [str(f) for f in found] == [
        'extra   cam1/0010/Thumbs.db: is not an image',
        'missing cam4/0006: 19 images instead of 20, 1 too few, without 0003.jpg',
        'extra   cam5/0006: 21 images instead of 20, 1 too many, with 0099.jpg',
        'missing cam6/0006: 19 images instead of 20, 1 too few, without 0020.jpg',
    ]
    assert check_dataset(str(sysu), 'sysu') == []


def test_sysu_splits_and_folders(sysu):
    test_ids = (sysu / 'exp' / 'test_id.txt').read_text()
    (sysu / 'exp' / 'test_id.txt').write_text(test_ids.replace('6,', '7,', 1))
    (sysu / 'cam2').rename(sysu / 'camera2')
    touch(sysu / 'cam1' / 'readme.txt')
    (sysu / 'cam1' / 'backup').mkdir()
    try:
        found = findings(sysu, 'sysu')
    finally:
        (sysu / 'exp' / 'test_id.txt').write_text(test_ids)
        (sysu / 'camera2').rename(sysu / 'cam2')
        (sysu / 'cam1' / 'readme.txt').unlink()
        (sysu / 'cam1' / 'backup').rmdir()
    assert found[:3] == [('extra', 'cam1/readme.txt'), ('extra', 'cam1/backup'),
                         ('missing', 'cam2')]
    exp = [f for f in found if f[1].startswith('exp')]
    assert exp == [('missing', 'exp/test_id.txt'), ('extra', 'exp/test_id.txt'),
                   ('wrong', 'exp/test_id.txt')]  # 6 lost, 7 won, 7 in two splits
    assert all(where.startswith('cam2/') for _, where in found[3 + len(exp):])


def test_sysu_layout_of_a_stand_in(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')
    assert check_dataset(root, 'sysu', layout_only=True) == []
    assert len(check_dataset(root, 'sysu')) > 2000
    (root / 'exp' / 'val_id.txt').unlink()
    (root / 'exp' / 'train_id.txt').write_text('2,5,9\n')
    for camera in (3, 6):
        for image in (root / f'cam{camera}' / '0005').iterdir():
            image.unlink()
    assert findings(root, 'sysu', layout_only=True) == [
        ('missing', 'exp/train_id.txt'), ('missing', 'exp/val_id.txt'),
        ('wrong', 'exp/test_id.txt')]


def full_regdb(root):
    for person, (folder, letter), number in itertools.product(
            range(1, 413), (('Visible', 'v'), ('Thermal', 't')), range(1, 11)):
        touch(root / folder / str(person) / f'{letter}_{number}.bmp')
    (root / 'idx').mkdir()
    for trial in range(1, 11):
        people = [1 + (person + trial) % 412 for person in range(412)]
        for split, half in (('train', people[:206]), ('test', people[206:])):
            for folder, letter in (('Visible', 'v'), ('Thermal', 't')):
                lines = [f'{folder}/{person}/{letter}_{number}.bmp {label}'
                         for label, person in enumerate(half) for number in range(1, 11)]
                (root / 'idx' / f'{split}_{folder.lower()}_{trial}.txt').write_text(
                    '\n'.join(lines))
    return root


def test_regdb_official_counts(tmp_path):
    root = full_regdb(tmp_path / 'regdb')
    assert check_dataset(root, 'regdb') == []
    touch(root / 'Visible' / '7' / 'desktop.ini')
    touch(root / 'Thermal' / '413' / 't_1.bmp')
    (root / 'idx' / 'train_visible_3.txt').unlink()
    lines = (root / 'idx' / 'test_thermal_5.txt').read_text().splitlines()
    (root / 'idx' / 'test_thermal_5.txt').write_text('\n'.join(lines[10:]))
    assert findings(root, 'regdb') == [
        ('extra', 'Visible/7/desktop.ini'), ('extra', 'Thermal/413'),
        ('missing', 'idx/train_visible_3.txt'), ('missing', 'idx/test_thermal_5.txt'),
        ('missing', 'idx/test_thermal_5.txt'), ('wrong', 'idx/test_*_5.txt')]


def test_regdb_lists_of_different_trials(tmp_path):
    """Labels agree, but not whose they are: training would pair strangers."""
    root = regdb_layout(tmp_path / 'regdb')
    other = (root / 'idx' / 'train_thermal_2.txt').read_text()
    (root / 'idx' / 'train_thermal_1.txt').write_text(other)
    found = [str(f) for f in check_dataset(root, 'regdb', layout_only=True)]
    assert found[0] == ('wrong   idx/train_*_1.txt: 2 labels stand for several persons, first 0 '
                        'for 1, 2')


def test_regdb_layout_of_a_stand_in(tmp_path):
    root = regdb_layout(tmp_path / 'regdb')
    assert check_dataset(root, 'regdb', layout_only=True) == []
    index = root / 'idx' / 'test_visible_1.txt'
    index.write_text(index.read_text() + 'Visible/1/male_v_00001.bmp 0\n')
    assert findings(root, 'regdb', layout_only=True) == [
        ('wrong', 'idx/test_*_1.txt'), ('wrong', 'idx/*_1.txt')]  # label 0 was another person's
    (root / 'Visible' / '1' / 'male_v_00001.bmp').unlink()
    assert ('wrong', 'idx/train_visible_1.txt') in findings(root, 'regdb', layout_only=True)
    assert findings(tmp_path, 'regdb', layout_only=True)[:2] == [
        ('missing', 'Visible'), ('missing', 'Thermal')]


def small_llcm(root, train, train_identities, test_identities, test_images):
    """All cameras of the real layout with numbers of one's own."""
    (root / 'idx').mkdir(parents=True)
    for name, total in train.items():
        lines = []
        for number in range(total):
            label = number % train_identities
            path = f'train_{name}/{label:04d}/{label:04d}_c01_{number:05d}.jpg'
            touch(root / path)
            lines.append(f'{path} {label}')
        (root / 'idx' / f'train_{name}.txt').write_text('\n'.join(lines))
    folders = [('vis', camera) for camera in range(1, 10)]
    folders += [('nir', camera) for camera in (1, 2, 4, 5, 6, 7, 8, 9)]
    for number in range(test_images):
        # Each image moves to the next camera, each round of cameras to the next person.
        name, camera = folders[number % 17]
        person = 714 + (number // 17) % test_identities
        touch(root / f'test_{name}' / f'cam{camera}' / f'{person:04d}' / f'{number:05d}.jpg')
    (root / 'idx' / 'test_id.txt').write_text(
        ','.join(str(i) for i in range(714, 714 + test_identities)))
    return root


def test_llcm_official_counts(tmp_path, monkeypatch):
    # The published totals: 46,767 boxes, 30,921 of them for training, 1,064 identities.
    assert sum(integrity._LLCM_TRAIN_LINES.values()) == 30921
    assert 30921 + integrity._LLCM_TEST_IMAGES == 46767
    assert integrity._LLCM_TRAIN_IDENTITIES + integrity._LLCM_TEST_IDENTITIES == 1064
    # A twentieth of them, so that the test stays small.
    numbers = {'train': {'vis': 847, 'nir': 698}, 'train_identities': 35,
               'test_identities': 17, 'test_images': 792}
    root = small_llcm(tmp_path / 'llcm', **numbers)
    assert {where for _, where in findings(root, 'llcm')} == {
        'idx/train_vis.txt', 'idx/train_nir.txt', 'idx/test_id.txt', 'test_vis, test_nir'}
    monkeypatch.setattr(integrity, '_LLCM_TRAIN_LINES', numbers['train'])
    monkeypatch.setattr(integrity, '_LLCM_TRAIN_IDENTITIES', numbers['train_identities'])
    monkeypatch.setattr(integrity, '_LLCM_TEST_IDENTITIES', numbers['test_identities'])
    monkeypatch.setattr(integrity, '_LLCM_TEST_IMAGES', numbers['test_images'])
    assert check_dataset(root, 'llcm') == []
    touch(root / 'test_nir' / 'cam3' / '0720' / '00000.jpg')
    touch(root / 'test_vis' / 'cam1' / '0001' / '00000.jpg')
    touch(root / 'test_vis' / 'cam1' / '0720' / 'Thumbs.db')
    (root / 'idx' / 'train_nir.txt').unlink()
    assert findings(root, 'llcm') == [
        ('missing', 'idx/train_nir.txt'), ('extra', 'test_vis/cam1/0001'),
        ('extra', 'test_vis/cam1/0720/Thumbs.db'), ('extra', 'test_nir/cam3/0720'),
        ('extra', 'test_vis, test_nir')]


def test_llcm_layout_of_a_stand_in(tmp_path):
    root = llcm_layout(tmp_path / 'llcm')
    assert check_dataset(root, 'llcm', layout_only=True) == []
    (root / 'idx' / 'test_id.txt').write_text('4,6,8\n')
    (root / 'test_vis' / 'attic').mkdir()
    assert findings(root, 'llcm', layout_only=True) == [
        ('extra', 'test_vis/attic'), ('missing', 'test_vis, test_nir')]
    (root / 'idx' / 'test_id.txt').unlink()
    assert findings(root, 'llcm', layout_only=True) == [('missing', 'idx/test_id.txt')]


def test_unknown_dataset_and_missing_folder(tmp_path):
    with pytest.raises(DatasetError, match='choose one of llcm, regdb, sysu'):
        check_dataset(tmp_path, 'market')
    with pytest.raises(DatasetError, match='does not exist'):
        check_dataset(tmp_path / 'nowhere', 'sysu')


def test_command_line(run_tool, tmp_path, repo_root, monkeypatch, capsys):
    script = str(repo_root / 'tools' / 'misc' / 'check_dataset.py')
    root = sysu_layout(tmp_path / 'sysu')
    done = run_tool(script, root, '--dataset', 'sysu', '--layout-only')
    assert 'layout of sysu are as expected' in done.stdout

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [script, *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(script, run_name='__main__')
        return stop.value.code, capsys.readouterr()

    touch(root / 'cam1' / '0009' / 'Thumbs.db')
    code, printed = run(str(root), '--dataset', 'sysu', '--max-lines', '1')
    assert code == 1
    assert printed.out.splitlines()[0] == 'extra   cam1/0009/Thumbs.db: is not an image'
    assert 'more (--max-lines 0 prints all)' in printed.out
    code, printed = run(str(tmp_path / 'nowhere'), '--dataset', 'regdb')
    assert code == 1
    assert 'set data_root' in printed.err
