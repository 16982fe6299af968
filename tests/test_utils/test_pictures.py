"""The one way from a picture's file to its pixels."""

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from mmvireid.datasets import LoadReIDImage
from mmvireid.utils.errors import DatasetError
from mmvireid.utils.pictures import MissingPictureError, load_picture
from mmvireid.visualization.report.thumbnails import encode_thumbnails


@pytest.fixture
def pixels():
    """A picture that no turn leaves as it is."""
    return np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)


def sideways(pixels, path, orientation, **options):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize(('name', 'modes'), [
    ('a.jpg', ('RGB', 'L', 'CMYK')), ('a.png', ('RGB', 'L', 'P', 'RGBA', 'LA', '1')),
    ('a.bmp', ('RGB', 'L', 'P', 'RGBA', '1')), ('a.webp', ('RGB', 'RGBA')),
    ('a.tif', ('RGB', 'L', 'P', 'RGBA', 'LA', '1', 'CMYK')), ('a.gif', ('P', 'L'))])
def test_ordinary_pictures_are_what_pillow_makes_of_them(tmp_path, pixels, name, modes):
    path = tmp_path / name
    for mode in modes:
        Image.fromarray(pixels).convert(mode).save(path)
        with Image.open(path) as picture:
            np.testing.assert_array_equal(load_picture(path), picture.convert('RGB'))


def write_ppm(path, values):
    path.write_bytes(b'P6 %d %d 65535 ' % values.shape[1::-1] + values.astype('>u2').tobytes())


@pytest.mark.parametrize(('name', 'channels', 'kind'), [
    ('a.png', 1, np.uint16), ('a.png', 3, np.uint16), ('a.png', 4, np.uint16),
    ('a.tif', 1, np.uint16), ('a.tif', 3, np.uint16), ('a.tif', 4, np.uint16),
    ('a.tif', 1, np.float32), ('a.jp2', 1, np.uint16), ('a.jp2', 3, np.uint16),
    ('a.ppm', 3, np.uint16)])
def test_more_than_8_bits_are_refused(tmp_path, name, channels, kind):
    """Pillow keeps the upper byte of several channels: 7000 to 9000 become nine values."""
    path = tmp_path / name
    values = np.random.default_rng(0).integers(7000, 9000, (96, 64, channels)).astype(kind)
    if name.endswith('.ppm'):
        write_ppm(path, values)
    else:
        assert cv2.imwrite(str(path), values)
    words = f'{name}" has values of more than 8 bits: convert'
    for load in (load_picture, LoadReIDImage().load, lambda p: encode_thumbnails([p], 10**6)):
        with pytest.raises(DatasetError, match=words):
            load(str(path))
    small = (values / 256).astype(np.uint8)
    if name.endswith('.jp2'):
        assert cv2.imwrite(str(path), small)
        assert load_picture(path).size == (64, 96)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.webp'])
@pytest.mark.parametrize(('orientation', 'turn'), [
    (1, lambda a: a), (2, lambda a: a[:, ::-1]), (3, lambda a: a[::-1, ::-1]),
    (4, lambda a: a[::-1]), (5, lambda a: a.transpose(1, 0, 2)),
    (6, lambda a: a[::-1].transpose(1, 0, 2)),
    (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
    (8, lambda a: a[:, ::-1].transpose(1, 0, 2))])
def test_pictures_are_turned_upright(tmp_path, pixels, name, orientation, turn):
    path = sideways(pixels, tmp_path / name, orientation)
    with Image.open(path) as picture:
        stored = np.array(picture.convert('RGB'))
    np.testing.assert_array_equal(load_picture(path), turn(stored))
    np.testing.assert_array_equal(load_picture(path, exif_orientation=False), stored)


def test_the_loading_transform_can_leave_them_lying(tmp_path, pixels):
    """And the cache does not take one for the other."""
    path, cache = sideways(pixels, tmp_path / 'a.png', 6), str(tmp_path / 'cache')
    for cache_dir in (None, cache, cache):
        upright = LoadReIDImage((16, 24), cache_dir=cache_dir).load(path)
        np.testing.assert_array_equal(upright, pixels[::-1].transpose(1, 0, 2))
        lying = LoadReIDImage((24, 16), cache_dir=cache_dir, exif_orientation=False).load(path)
        np.testing.assert_array_equal(lying, pixels)
        resized = LoadReIDImage((16, 24), cache_dir=cache_dir, exif_orientation=False).load(path)
        assert (resized != upright).any()


def test_a_broken_exif_block_breaks_no_picture(tmp_path, pixels):
    path = tmp_path / 'a.jpg'
    Image.fromarray(pixels).save(path, exif=b'Exif\0\0not a header at all')
    assert load_picture(path).size == (16, 24)


def test_less_than_the_whole_picture(tmp_path):
    Image.new('RGB', (640, 1280)).save(tmp_path / 'a.jpg')
    small = load_picture(tmp_path / 'a.jpg', at_least=(100, 100))
    assert 100 <= small.width < 640
    assert small.height == 2 * small.width


def test_what_is_missing_has_an_error_of_its_own(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').touch()
    for name in ('a.jpg', 'folder', 'file/a.jpg'):
        with pytest.raises(MissingPictureError, match='does not exist: check'):
            load_picture(tmp_path / name)


def test_nobody_else_opens_pictures(repo_root):
    """One place decides what is upright and what is refused."""
    files = [*(repo_root / 'mmvireid').rglob('*.py'), *(repo_root / 'tools').rglob('*.py')]
    openers = {path.name for path in files for name in ('Image.open(', 'cv2.imread(', '.imread(')
               if name in path.read_text()}
    assert openers == {'pictures.py'}
