"""Readers on tiny datasets in the real layouts."""

import pickle

import numpy as np
import pytest
from ds_layouts import llcm_layout, regdb_layout, sysu_layout, touch, write_image
from mmengine.dataset import BaseDataset
from scipy.io import savemat

from mmvireid.datasets import LLCM, SYSUMM01, ListFileDataset, RegDB, sysu_gallery
from mmvireid.evaluation.functional import protocols
from mmvireid.registry import DATASETS


def check_contract(dataset, training):
    """What samplers and metrics rely on, for any reader."""
    assert isinstance(dataset, BaseDataset)
    n = len(dataset)
    for name in ('labels', 'identities', 'cameras', 'modalities'):
        values = getattr(dataset, name)
        assert values.shape == (n, )
        assert values.dtype == np.int64
    assert len(dataset.img_paths) == n
    keys = list(zip(dataset.modalities.tolist(), dataset.img_paths))
    assert keys == sorted(keys)
    for row in (0, n - 1):
        info = dataset.get_data_info(row)
        assert info['sample_idx'] == row
        assert info['img_path'] == dataset.img_paths[row]
        assert info['identity'] == dataset.identities[row]
    if training:
        names = sorted(set(dataset.identities.tolist()))
        assert dataset.labels.tolist() == [names.index(i) for i in dataset.identities]
        assert dataset.num_ids == len(names)
        assert not dataset.test_mode
    else:
        assert set(dataset.labels.tolist()) == {-1}
        assert dataset.test_mode
    assert dataset.metainfo['dataset_name']


def test_sysu_splits(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')
    people = {'train': {2, 5}, 'val': {7}, 'trainval': {2, 5, 7}, 'test': {9, 12}}
    for split, identities in people.items():
        dataset = SYSUMM01(str(root), split=split)
        check_contract(dataset, training=split in ('train', 'trainval'))
        assert set(dataset.identities.tolist()) == identities
        assert len(dataset) == len(identities) * 6 * 3
        assert set(dataset.cameras[dataset.modalities == 0].tolist()) == {1, 2, 4, 5}
        assert set(dataset.cameras[dataset.modalities == 1].tolist()) == {3, 6}
        assert dataset.metainfo == {'dataset_name': 'sysu', 'split': split}
    assert dataset.img_paths[0] == str(root / 'cam1' / '0009' / '0001.jpg')


def test_sysu_counts_of_the_full_dataset(full_sysu):
    trainval = SYSUMM01(full_sysu, split='trainval')
    assert trainval.num_ids == 395
    assert np.bincount(trainval.modalities).tolist() == [22258, 11909]
    test = SYSUMM01(full_sysu, split='test')
    assert test.num_ids == 96
    assert np.bincount(test.modalities).tolist() == [6775, 3803]
    assert np.bincount(test.cameras).tolist() == [0, 1374, 1565, 1883, 1918, 1918, 1920]


def test_sysu_gallery_names_the_known_files(full_sysu):
    paths = sysu_gallery(str(full_sysu), trial=0)
    assert len(paths) == 301
    assert paths[:3] == [str(full_sysu / 'cam1/0006/0025.jpg'),
                         str(full_sysu / 'cam2/0006/0025.jpg'),
                         str(full_sysu / 'cam4/0006/0014.jpg')]
    assert len(sysu_gallery(full_sysu, mode='indoor', shot=10, trial=3)) == 1120
    # The dataset's rows give the same gallery as the folder.
    test = SYSUMM01(full_sysu, split='test')
    rows = protocols.sample_sysu_gallery(test.identities, test.cameras, trial=0)
    assert [test.img_paths[row] for row in rows] == paths


def test_sysu_gallery_official(tmp_path):
    root = sysu_layout(tmp_path / 'sysu', images=3)
    cells = np.empty((6, 1), dtype=object)
    for camera in range(6):
        people = np.empty((12, 1), dtype=object)
        for identity in range(12):
            people[identity, 0] = np.array([[3, 1, 2], [2, 3, 1]])
        cells[camera, 0] = people
    savemat(root / 'exp' / 'rand_perm_cam.mat', {'rand_perm_cam': cells})
    paths = sysu_gallery(root, mode='indoor', trial=1, source='official')
    assert paths == [str(root / f'cam{c}' / i / '0002.jpg')
                     for i in ('0009', '0012') for c in (1, 2)]
    touch(root / 'cam1' / '0009' / '0004.jpg')
    with pytest.raises(ValueError, match='expects 3 images of identity 9 in camera 1'):
        sysu_gallery(root, trial=0, source='official')


def test_sysu_ignores_what_is_no_image(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')
    before = SYSUMM01(root, split='test').img_paths
    touch(root / 'cam1' / '0009' / 'Thumbs.db')
    (root / 'cam1' / '0009' / 'folder.jpg').mkdir()
    assert SYSUMM01(root, split='test').img_paths == before
    assert len(sysu_gallery(root, trial=0)) == 8


def test_regdb_trials(tmp_path):
    root = regdb_layout(tmp_path / 'regdb')
    for trial, persons in ((1, {'1', '3'}), (2, {'2', '4'})):
        dataset = RegDB(str(root), trial=trial, split='train')
        check_contract(dataset, training=True)
        assert {path.split('/')[-2] for path in dataset.img_paths} == persons
        assert np.bincount(dataset.modalities).tolist() == [4, 4]
        assert dataset.metainfo == {'dataset_name': 'regdb', 'split': 'train', 'trial': trial}
        test = RegDB(str(root), trial=trial, split='test')
        check_contract(test, training=False)
        assert not set(dataset.img_paths) & set(test.img_paths)
    query, gallery = protocols.regdb_trial(test.modalities, direction='t2v')
    assert all('Thermal' in test.img_paths[row] for row in query)
    assert all('Visible' in test.img_paths[row] for row in gallery)


def test_llcm_splits_whatever_the_root_is_called(tmp_path):
    root = llcm_layout(tmp_path / 'webcam7' / '_c05_llcm')
    train = LLCM(str(root), split='train')
    check_contract(train, training=True)
    assert set(train.cameras.tolist()) == {1, 2}
    assert np.bincount(train.modalities).tolist() == [6, 6]
    test = LLCM(str(root), split='test')
    check_contract(test, training=False)
    assert set(test.identities.tolist()) == {4, 6}
    assert set(test.cameras[test.modalities == 0].tolist()) == {1, 2, 3}
    assert set(test.cameras[test.modalities == 1].tolist()) == {1, 2}


def test_llcm_training_name_without_a_camera_is_unknown(tmp_path):
    root = llcm_layout(tmp_path / 'llcm')
    write_image(root / 'train_vis' / 'odd.jpg')
    with open(root / 'idx' / 'train_vis.txt', 'a') as file:
        file.write('train_vis/odd.jpg 0\n')
    dataset = LLCM(root, split='train')
    assert dataset.cameras[dataset.img_paths.index(str(root / 'train_vis/odd.jpg'))] == 0


LISTS = {
    'csv': 'day/a.jpg,17,1,visible\nday/b.jpg,3,1,rgb\nnight/a.jpg,17,2,IR\nnight/b.jpg,3,2,1\n',
    'no camera': 'day/a.jpg,17,0\nday/b.jpg,3,0\nnight/a.jpg,17,1\nnight/b.jpg,3,infrared\n',
    'spaces': '# mine\nday/a.jpg 17 1 visible\nday/b.jpg\t3 1 0\n\n'
              'night/a.jpg 17 2 infrared\nnight/b.jpg 3 2 ir\n',
    'header': 'Modality,identity,path\nvisible,17,day/a.jpg\nvisible,3,day/b.jpg\n'
              'infrared,17,night/a.jpg\ninfrared,3,night/b.jpg\n',
    'byte order mark': '\ufeffpath,identity,camera,modality\nday/a.jpg,17,,visible\n'
                       'day/b.jpg,3,1,visible\nnight/a.jpg,17,2,ir\nnight/b.jpg,3,2,ir\n',
}


@pytest.mark.parametrize('form', LISTS)
def test_list_file_forms(tmp_path, form):
    for name in ('day/a', 'day/b', 'night/a', 'night/b'):
        write_image(tmp_path / f'{name}.jpg')
    (tmp_path / 'list.csv').write_text(LISTS[form], encoding='utf-8')
    dataset = ListFileDataset(str(tmp_path / 'list.csv'))
    check_contract(dataset, training=True)
    assert dataset.identities.tolist() == [17, 3, 17, 3]
    assert dataset.labels.tolist() == [1, 0, 1, 0]
    assert dataset.modalities.tolist() == [0, 0, 1, 1]
    with_camera = form not in ('no camera', 'header')
    expected = [1, 1, 2, 2] if with_camera else [0, 0, 0, 0]
    expected[0] = 0 if form == 'byte order mark' else expected[0]
    assert dataset.cameras.tolist() == expected
    check_contract(ListFileDataset('list.csv', str(tmp_path), split='test'), training=False)


def test_list_file_with_spaces_in_names_absolute_paths_and_unknown_people(tmp_path):
    write_image(tmp_path / 'my day' / 'a, b.jpg')
    write_image(tmp_path / 'night.jpg')
    (tmp_path / 'list.csv').write_text(
        f'"my day/a, b.jpg",-1,0,visible\n{tmp_path}/night.jpg,4,0,infrared\n')
    dataset = ListFileDataset(str(tmp_path / 'list.csv'))
    assert dataset.labels.tolist() == [-1, 0]
    assert dataset.num_ids == 1
    assert dataset.img_paths[0].endswith('a, b.jpg')


def test_one_modality_is_allowed_when_asked_for(tmp_path):
    write_image(tmp_path / 'a.jpg')
    (tmp_path / 'list.csv').write_text('a.jpg,1,0,visible\n')
    dataset = ListFileDataset(str(tmp_path / 'list.csv'), require_both_modalities=False)
    assert len(dataset) == 1


def test_registry_builds_readers_and_pipelines_without_a_default_scope(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')
    dataset = DATASETS.build({
        'type': 'SYSUMM01', 'data_root': str(root), 'split': 'test',
        'pipeline': [{'type': 'LoadReIDImage', 'size': [32, 16]}, {'type': 'PackReIDInputs'}]})
    item = dataset[0]
    assert item['inputs'].shape == (1, 3, 32, 16)
    assert item['data_samples'].camera == 1


def test_subsets_and_copies_keep_arrays_and_images_together(tmp_path):
    dataset = SYSUMM01(sysu_layout(tmp_path / 'sysu'), split='test')
    paths = dataset.img_paths
    subset = dataset.get_subset([3, 1])
    assert subset.img_paths == [paths[3], paths[1]]
    assert subset.identities.shape == (2, )
    assert dataset.img_paths == paths
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.img_paths == paths
    dataset.get_subset_(4)
    assert dataset.img_paths == paths[:4]
    assert len(SYSUMM01(tmp_path / 'sysu', split='test', indices=5).labels) == 5
