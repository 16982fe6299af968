"""Each fault of a dataset gets one sentence that says what to do."""

import shutil

import numpy as np
import pytest
from ds_layouts import llcm_layout, regdb_layout, sysu_layout, write_image
from PIL import Image

from mmvireid.datasets import (
    LLCM,
    SYSUMM01,
    DatasetError,
    ListFileDataset,
    LoadReIDImage,
    RegDB,
    check_dataset,
    sysu_gallery,
)
from mmvireid.datasets.folders import find_images
from mmvireid.utils.errors import MMVIReIDError


def assert_one_sentence(error):
    text = str(error.value)
    assert isinstance(error.value, MMVIReIDError)
    assert '\n' not in text
    # What is wrong, then what to do about it.
    assert any(word in text for word in (
        'copy', 'set data_root', 'check', 'complete', 'correct', 'write', 'add', 'choose',
        'remove', 'must', 'save it as', 'use commas')), text


@pytest.mark.parametrize('build', [
    lambda root: SYSUMM01(root), lambda root: RegDB(root), lambda root: LLCM(root),
    lambda root: sysu_gallery(root, trial=0),
])
def test_missing_folder(tmp_path, build):
    with pytest.raises(DatasetError, match='does not exist: set data_root') as error:
        build(str(tmp_path / 'nowhere'))
    assert str(tmp_path / 'nowhere') in str(error.value)
    assert_one_sentence(error)


@pytest.mark.parametrize(('split', 'name'), [('train', 'train_id.txt'),
                                             ('trainval', 'val_id.txt'),
                                             ('test', 'test_id.txt')])
def test_missing_id_file(tmp_path, split, name):
    root = sysu_layout(tmp_path / 'sysu')
    (root / 'exp' / name).unlink()
    with pytest.raises(DatasetError, match=f'{name}" is missing') as error:
        SYSUMM01(root, split=split)
    assert_one_sentence(error)


@pytest.mark.parametrize('text', ['', '1,2,three', '1;2', '-4,5', '1,²', '20211231235959123456'])
def test_malformed_id_file(tmp_path, text):
    root = sysu_layout(tmp_path / 'sysu')
    (root / 'exp' / 'test_id.txt').write_text(text)
    with pytest.raises(DatasetError, match='should hold identity numbers') as error:
        SYSUMM01(root, split='test')
    assert_one_sentence(error)


def test_binary_id_file(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')
    (root / 'exp' / 'test_id.txt').write_bytes(b'\xff\xfe\x00\x80')
    with pytest.raises(DatasetError, match='line 1 .* copy it again from the original') as error:
        SYSUMM01(root, split='test')
    assert_one_sentence(error)


@pytest.mark.parametrize(('split', 'name'), [('trainval', 'test'), ('test', 'train'),
                                             ('test', 'val'), ('train', 'val')])
def test_people_of_two_splits(tmp_path, split, name):
    """An id file in the place of another one would test with training people, silently."""
    root = sysu_layout(tmp_path / 'sysu')
    own = (root / 'exp' / f'{split.replace("trainval", "val")}_id.txt').read_text()
    (root / 'exp' / f'{name}_id.txt').write_text(own)
    with pytest.raises(DatasetError, match=f'and in ".*{name}_id.txt".* copy the files') as error:
        SYSUMM01(root, split=split)
    assert_one_sentence(error)
    (root / 'exp' / f'{name}_id.txt').unlink()
    SYSUMM01(root, split=split)  # other splits may be absent


def test_what_may_not_be_read(tmp_path, monkeypatch):
    """Refused by the system call, since the tests may run as root, whom nothing stops."""
    root = sysu_layout(tmp_path / 'sysu')

    def refuse(*arguments, **options):
        raise PermissionError(13, 'Permission denied')

    for target, words in (('os.scandir', 'the folder ".*0009"'),
                          ('pathlib.Path.read_bytes', 'the index file ".*test_id.txt"')):
        with monkeypatch.context() as patch:
            patch.setattr(target, refuse)
            with pytest.raises(DatasetError, match=f'{words} may not be read') as error:
                SYSUMM01(root, split='test')
        assert_one_sentence(error)


def test_missing_camera_folder(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')
    shutil.rmtree(root / 'cam6')
    with pytest.raises(DatasetError, match='cam6" is missing') as error:
        SYSUMM01(root)
    assert_one_sentence(error)


def test_identity_without_images(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')
    for camera in range(1, 7):
        shutil.rmtree(root / f'cam{camera}' / '0009')
    with pytest.raises(DatasetError, match='identity 9 .* has no image') as error:
        SYSUMM01(root, split='test')
    assert_one_sentence(error)
    root = llcm_layout(tmp_path / 'llcm')
    (root / 'idx' / 'test_id.txt').write_text('4,6,77\n')
    with pytest.raises(DatasetError, match='identity 77 .* has no image') as error:
        LLCM(root, split='test')
    assert_one_sentence(error)


def test_dataset_without_one_modality(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')
    for camera in (3, 6):
        shutil.rmtree(root / f'cam{camera}')
        (root / f'cam{camera}').mkdir()
    with pytest.raises(DatasetError, match='has no infrared images') as error:
        SYSUMM01(root)
    assert_one_sentence(error)


def test_unknown_split_and_trial(tmp_path):
    with pytest.raises(DatasetError, match='no split "query": choose one of train, val') as error:
        SYSUMM01(tmp_path, split='query')
    assert_one_sentence(error)
    with pytest.raises(DatasetError, match='trials 1 to 10, not 0'):
        RegDB(tmp_path, trial=0)


@pytest.mark.parametrize('path', ['../elsewhere/a.bmp', '/etc/passwd', 'Visible/../../a.bmp',
                                  '..\\elsewhere\\a.bmp'])
def test_index_file_that_points_outside(tmp_path, path):
    root = regdb_layout(tmp_path / 'regdb')
    write_image(tmp_path / 'elsewhere' / 'a.bmp')
    write_image(tmp_path / 'a.bmp')
    index = root / 'idx' / 'train_visible_1.txt'
    index.write_text(index.read_text() + f'{path} 0\n')
    with pytest.raises(DatasetError, match='line 5 of .* points outside') as error:
        RegDB(root)
    assert_one_sentence(error)


@pytest.mark.parametrize(('line', 'message'), [
    ('Visible/1/male_v_00001.bmp', 'line 5 of .* should read'),
    ('Visible/1/male_v_00001.bmp zero', 'line 5 of .* should read'),
    ('Visible/1/male_v_00001.bmp ²', 'line 5 of .* should read'),
    ('Visible/1/male_v_00001.bmp 20211231235959123456', 'line 5 of .* should read'),
    ('Visible/1/male_v_00001.bmp 0', 'lists .* 2 times'),
    ('./Visible//1/male_v_00001.bmp 0', 'lists .* 2 times'),
    ('Visible/1/._male_v_00001.bmp 0', 'line 5 of .* hidden file .* remove the line'),
    ('Visible/1/male_v_00099.bmp 0', 'lists 1 images that do not exist'),
])
def test_malformed_index_line(tmp_path, line, message):
    root = regdb_layout(tmp_path / 'regdb')
    index = root / 'idx' / 'train_visible_1.txt'
    index.write_text(index.read_text() + line + '\n')
    with pytest.raises(DatasetError, match=message) as error:
        RegDB(root)
    assert_one_sentence(error)


def test_empty_index_file(tmp_path):
    root = regdb_layout(tmp_path / 'regdb')
    (root / 'idx' / 'train_visible_1.txt').write_text('\n')
    with pytest.raises(DatasetError, match='lists no image') as error:
        RegDB(root)
    assert_one_sentence(error)


def test_missing_llcm_test_folder(tmp_path):
    root = llcm_layout(tmp_path / 'llcm')
    shutil.rmtree(root / 'test_nir')
    with pytest.raises(DatasetError, match='test_nir" is missing') as error:
        LLCM(root, split='test')
    assert_one_sentence(error)


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'names no image'),
    ('# only a comment\n', 'names no image'),
    ('a.jpg,1,1,visible\na.jpg,1\n', 'line 2 of .* has 2 fields instead of 4'),
    ('a.jpg 1 1 visible extra\n', 'line 1 of .* has 5 fields instead of 4'),
    ('a.jpg,1,1,thermal camera\n', 'line 1 of .* has the modality "thermal camera"'),
    ('a.jpg,one,1,visible\n', 'line 1 of .* has the identity "one"'),
    ('a.jpg,-2,1,visible\n', 'line 1 of .* has the identity "-2"'),
    ('a.jpg,1,x,visible\n', 'line 1 of .* has the camera "x"'),
    ('a.jpg,²,1,visible\n', 'line 1 of .* has the identity "²"'),
    ('a.jpg,1,20211231235959123456,visible\n', 'line 1 of .* has the camera "2021.* 18 digits'),
    ('a.jpg,1,1,visible\n./a.jpg,1,2,visible\n', 'lines 1 and 2 of .* the same file .* remove'),
    ('#\na.jpg;1;1;visible\n', 'line 2 of .* separates its columns by semicolons: use commas'),
    ('path,identity,modality\na.jpg\t1\tir\n', 'line 2 of .* by tabs: use commas'),
    ('a.jpg，1，visible\n', 'line 1 of .* by commas of double width: use commas'),
    ('._a.jpg,1,1,visible\n', 'line 1 of .* hidden file "._a.jpg": .* remove the line'),
    ('../a.jpg,1,1,visible\n', 'line 1 of .* points outside'),
    ('b.jpg,1,1,visible\n', 'lists 1 images that do not exist'),
    ('path,identity,kind\na.jpg,1,visible\n', 'names the columns path, identity, kind'),
    ('a.jpg,1,1,visible\n', 'has no infrared images'),
    ('path,identity,modality\n', 'has no images'),
])
def test_malformed_list_file(tmp_path, text, message):
    write_image(tmp_path / 'data' / 'a.jpg')
    write_image(tmp_path / 'a.jpg')
    (tmp_path / 'data' / 'list.txt').write_text(text, encoding='utf-8')
    with pytest.raises(DatasetError, match=message) as error:
        ListFileDataset(str(tmp_path / 'data' / 'list.txt'))
    assert_one_sentence(error)
    assert 'original dataset' not in str(error.value)  # there is none of somebody's own list


@pytest.mark.parametrize(('encoding', 'line'), [('gbk', 2), ('utf-16', 1), ('utf-16-le', 1)])
def test_lists_in_other_encodings(tmp_path, encoding, line):
    path = tmp_path / 'list.csv'
    path.write_text('path,identity,modality\n行人/a.jpg,1,visible\n', encoding=encoding)
    with pytest.raises(DatasetError, match=f'line {line} of .*: save it as UTF-8$') as error:
        ListFileDataset(str(path))
    assert_one_sentence(error)
    with pytest.raises(DatasetError, match='there is no list .*: correct ann_file') as error:
        ListFileDataset(str(tmp_path / 'other.csv'))
    assert_one_sentence(error)


def test_a_second_name_of_a_listed_file(tmp_path):
    write_image(tmp_path / 'a.jpg')
    (tmp_path / 'b.jpg').symlink_to('a.jpg')
    (tmp_path / 'list.csv').write_text('a.jpg,1,visible\nb.jpg,1,ir\n')
    with pytest.raises(DatasetError, match='lines 1 and 2 of .* the same file .*b.jpg'):
        ListFileDataset(str(tmp_path / 'list.csv'))


def test_hidden_files_are_no_images(tmp_path):
    """macOS writes ``._0001.jpg``; a gallery that counts it is another gallery."""
    root = sysu_layout(tmp_path / 'sysu')
    gallery, images = sysu_gallery(root, trial=0), SYSUMM01(root, split='test').img_paths
    for folder in root.glob('cam*/0009'):
        (folder / '._0001.jpg').write_bytes(b'\0\5\x16\7')
        shutil.copy(next(folder.glob('0*.jpg')), folder / '.hidden.jpg')
        (folder / '0000.jpg').symlink_to('0000.jpg')  # leads to itself
    assert sysu_gallery(root, trial=0) == gallery
    assert SYSUMM01(root, split='test').img_paths == images
    found = [f for f in check_dataset(root, 'sysu', layout_only=True) if '0009' in f.where]
    assert any('._0001.jpg: is hidden' in str(finding) for finding in found)
    assert any('0000.jpg: is not an image' in str(finding) for finding in found)


def test_each_real_image_of_a_folder_once(tmp_path):
    for name in ('b/1.jpg', 'b/c/2.PNG', '0.bmp', '.hidden/3.jpg', 'b/._1.jpg', 'b/Thumbs.db'):
        write_image(tmp_path / 'g' / name.replace('Thumbs.db', 'x.jpg'))
    (tmp_path / 'g' / 'b' / 'x.jpg').rename(tmp_path / 'g' / 'b' / 'Thumbs.db')
    write_image(tmp_path / 'elsewhere' / '4.jpg')
    real = [str(tmp_path / 'g' / name) for name in ('0.bmp', 'b/1.jpg', 'b/c/2.PNG')]
    for link, target in (('latest', '.'), ('a', 'b/c'), ('b/c/up', '../..'), ('loop', 'loop'),
                         ('00.bmp', '0.bmp'), ('gone.jpg', 'nothing')):
        (tmp_path / 'g' / link).symlink_to(target)
    assert find_images(tmp_path / 'g') == real
    (tmp_path / 'g' / 'other').symlink_to(tmp_path / 'elsewhere')
    assert find_images(tmp_path / 'g') == [*real, str(tmp_path / 'g' / 'other' / '4.jpg')]


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp'])
def test_truncated_image(tmp_path, suffix):
    path = write_image(tmp_path / f'a{suffix}', size=(60, 90))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DatasetError, match='cannot be decoded .* copy it again') as error:
        LoadReIDImage()({'img_path': str(path)})
    assert str(path) in str(error.value)
    assert_one_sentence(error)


@pytest.mark.parametrize('cached', [False, True])
@pytest.mark.parametrize(('name', 'kind'), [
    ('a.png', np.uint16), ('a.tif', np.uint16), ('a.tif', np.int32), ('a.tif', np.float32)])
def test_raw_thermal_images_are_not_made_white(tmp_path, name, kind, cached):
    """Pillow cuts values at 255 when it makes RGB of them, and says nothing."""
    values = np.random.default_rng(0).integers(20000, 30000, (60, 30)).astype(kind)
    Image.fromarray(values).save(tmp_path / name)
    load = LoadReIDImage(cache_dir=str(tmp_path / 'cache') if cached else None)
    with pytest.raises(DatasetError, match=f'{name}" has values of more than 8 bits: convert'):
        load({'img_path': str(tmp_path / name)})
    assert not (tmp_path / 'cache').exists()


@pytest.mark.parametrize('cached', [False, True])
def test_no_image_missing_or_empty(tmp_path, cached):
    load = LoadReIDImage(cache_dir=str(tmp_path / 'cache') if cached else None)
    (tmp_path / 'a.jpg').write_text('hello')
    with pytest.raises(DatasetError, match='is not an image file') as error:
        load({'img_path': str(tmp_path / 'a.jpg')})
    assert_one_sentence(error)
    (tmp_path / 'b.jpg').touch()
    with pytest.raises(DatasetError, match='is not an image file'):
        load({'img_path': str(tmp_path / 'b.jpg')})
    with pytest.raises(DatasetError, match='does not exist') as error:
        load({'img_path': str(tmp_path / 'c.jpg')})
    assert_one_sentence(error)


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = write_image(tmp_path / 'a.png', size=(60, 90))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    with pytest.raises(DatasetError, match='cannot be decoded'):
        LoadReIDImage()({'img_path': str(path)})
