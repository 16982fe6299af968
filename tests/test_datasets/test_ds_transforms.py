"""Transforms: what they do to pixels, and how often."""

import numpy as np
import pytest
import torch
from ds_layouts import write_image
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional

from mmvireid.datasets import DatasetError
from mmvireid.datasets.transforms import (
    ByModality,
    ChannelAdapGray,
    ChannelExchange,
    ColorJitter,
    LoadReIDImage,
    MultiView,
    PackReIDInputs,
    PadRandomCrop,
    RandomErasing,
    RandomGrayscale,
)
from mmvireid.registry import TRANSFORMS
from mmvireid.structures import ReIDDataSample


@pytest.fixture
def img():
    return np.random.default_rng(0).integers(0, 256, (40, 20, 3), dtype=np.uint8)


@pytest.mark.parametrize('interpolation', ['lanczos', 'bicubic', 'bilinear'])
def test_load_resizes_as_pillow_does(tmp_path, interpolation):
    path = write_image(tmp_path / 'a.png', size=(61, 95))
    loaded = LoadReIDImage((48, 24), interpolation)({'img_path': str(path)})
    resample = getattr(Image.Resampling, interpolation.upper())
    expected = np.array(Image.open(path).convert('RGB').resize((24, 48), resample))
    np.testing.assert_array_equal(loaded['img'], expected)
    assert loaded['img_shape'] == (48, 24)


def test_load_of_the_right_size_keeps_every_pixel_and_gray_gets_three_channels(tmp_path):
    gray = np.arange(48 * 24, dtype=np.uint32).reshape(48, 24).astype(np.uint8)
    Image.fromarray(gray).save(tmp_path / 'gray.png')
    loaded = LoadReIDImage((48, 24))({'img_path': str(tmp_path / 'gray.png')})['img']
    np.testing.assert_array_equal(loaded, np.repeat(gray[..., None], 3, axis=2))
    with pytest.raises(ValueError, match='interpolation must be one of'):
        LoadReIDImage(interpolation='nearest')


def test_channel_exchange_gives_each_channel_equally_often(img):
    np.random.seed(0)
    for gray, outcomes in ((False, 3), (True, 4)):
        transform = ChannelExchange(gray=gray)
        counts = np.zeros(4, dtype=int)
        for _ in range(400):
            out = transform({'img': img})['img']
            assert (out == out[..., :1]).all()
            equal = [np.array_equal(out[..., 0], img[..., c]) for c in range(3)]
            counts[equal.index(True) if any(equal) else 3] += 1
        assert counts[:outcomes].min() > 400 / outcomes * 0.7
        assert counts[outcomes:].sum() == 0


@pytest.mark.parametrize(('prob', 'luma', 'untouched'), [(1.0, 0.25, 0), (0.0, 0, 0.25),
                                                        (0.5, 0.125, 0.125)])
def test_adaptive_gray_has_four_equal_outcomes(img, prob, luma, untouched):
    np.random.seed(1)
    img = img.astype(np.float32) / 255
    gray = img @ np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)
    counts = np.zeros(5)
    for _ in range(800):
        out = ChannelAdapGray(prob)({'img': img})['img']
        assert out.dtype == np.float32
        if np.array_equal(out, img):
            counts[4] += 1
            continue
        assert (out == out[..., :1]).all()
        equal = [np.array_equal(out[..., 0], img[..., c]) for c in range(3)]
        if any(equal):
            counts[equal.index(True)] += 1
        else:
            np.testing.assert_allclose(out[..., 0], gray, atol=1e-6)
            counts[3] += 1
    np.testing.assert_allclose(counts / 800, [0.25] * 3 + [luma, untouched], atol=0.05)


def test_gray_of_uint8_is_rounded():
    img = np.array([[[10, 20, 30]]], dtype=np.uint8)
    np.random.seed(0)
    outcomes = {int(ChannelExchange(gray=True)({'img': img})['img'][0, 0, 0]) for _ in range(60)}
    assert outcomes == {10, 20, 30, 18}  # 2.989 + 11.74 + 3.42 = 18.149


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10000), st.booleans())
def test_erasing_fills_one_rectangle_within_its_ranges(seed, uint8):
    np.random.seed(seed)
    if uint8:
        img, fill = np.full((288, 144, 3), 7, dtype=np.uint8), (125.3, 123.0, 113.9)
        expected = [125, 123, 114]
    else:
        img, fill = np.full((288, 144, 3), -1.5, dtype=np.float32), (0.4914, 0.4822, 0.4465)
        expected = np.array(fill, dtype=np.float32)
    out = RandomErasing(prob=1.0, fill=fill)({'img': img})['img']
    assert (img == img[0, 0]).all()  # the input is not written to
    assert out.dtype == img.dtype
    erased = (out != img).any(axis=2)
    rows, columns = np.flatnonzero(erased.any(1)), np.flatnonzero(erased.any(0))
    h, w = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert erased.sum() == h * w
    assert (out[erased] == expected).all()
    # Sides are rounded to whole pixels: allow for half a pixel on each.
    assert (h + 0.5) * (w + 0.5) >= 0.02 * 288 * 144
    assert (h - 0.5) * (w - 0.5) <= 0.4 * 288 * 144
    assert (h + 0.5) / (w - 0.5) >= 0.3
    assert (h - 0.5) / (w + 0.5) <= 1 / 0.3


def test_erasing_happens_as_often_as_asked(img):
    np.random.seed(2)
    transform = RandomErasing(prob=0.3, fill=(300, 300, 300))
    floats = img.astype(np.float32)
    hits = sum((transform({'img': floats})['img'] != floats).any() for _ in range(600))
    assert abs(hits / 600 - 0.3) < 0.06
    assert (RandomErasing(prob=0.0, fill=(9, 9, 9))({'img': img})['img'] == img).all()


def test_erasing_aspect_is_uniform_not_log_uniform():
    np.random.seed(3)
    transform = RandomErasing(prob=1.0, area_range=(0.05, 0.05), fill=(1, 1, 1))
    tall = 0
    for _ in range(400):
        erased = transform({'img': np.zeros((300, 300, 3), np.float32)})['img'][..., 0] > 0
        tall += erased.any(1).sum() > erased.any(0).sum()
    # Uniform on (0.3, 3.33): 77 % are above 1. Log-uniform would give 50 %.
    assert abs(tall / 400 - 0.77) < 0.07


def test_erasing_aspect_can_be_log_uniform():
    np.random.seed(3)
    transform = RandomErasing(prob=1.0, area_range=(0.05, 0.05), aspect_range=(0.3, 3.3),
                              fill=(1, 1, 1), aspect='log_uniform')
    tall, flat = 0, 0
    for _ in range(400):
        erased = transform({'img': np.zeros((300, 300, 3), np.float32)})['img'][..., 0] > 0
        ratio = erased.any(1).sum() / erased.any(0).sum()
        tall += ratio > 1
        flat += ratio < 0.3**0.5
    assert abs(tall / 400 - 0.5) < 0.08
    assert abs(flat / 400 - 0.25) < 0.07


def test_erasing_gives_up_after_its_attempts():
    """Rectangles as high as the image and higher never fit."""
    transform = RandomErasing(prob=1.0, area_range=(1, 1), aspect_range=(1, 2), attempts=10)
    img = np.zeros((8, 8, 3), np.float32)
    np.random.seed(0)
    assert transform({'img': img})['img'] is img
    after = np.random.get_state()[1].tolist(), np.random.get_state()[2]
    np.random.seed(0)
    np.random.rand(1 + 2 * 10)
    assert after == (np.random.get_state()[1].tolist(), np.random.get_state()[2])


def test_erasing_refuses_a_normalised_fill_on_uint8(img):
    with pytest.raises(DatasetError, match='write fill in 0..255 or put RandomErasing after'):
        RandomErasing()({'img': img})
    RandomErasing(fill=(0, 0, 0))({'img': img})  # black on purpose
    with pytest.raises(ValueError, match='area_range'):
        RandomErasing(area_range=(0.4, 0.02))
    with pytest.raises(ValueError, match='aspect_range'):
        RandomErasing(aspect_range=(0, 3))
    with pytest.raises(ValueError, match='three values'):
        RandomErasing(fill=(1, 2))
    with pytest.raises(ValueError, match="'uniform' or 'log_uniform', got 'log'"):
        RandomErasing(aspect='log')


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10000), st.integers(0, 12))
def test_pad_and_crop_equals_padding_then_cropping(seed, padding):
    img = np.random.default_rng(seed).integers(1, 256, (30, 20, 3), dtype=np.uint8)
    np.random.seed(seed)
    out = PadRandomCrop(padding)({'img': img})['img']
    padded = np.pad(img, ((padding, padding), (padding, padding), (0, 0)))
    np.random.seed(seed)
    top, left = np.random.randint(2 * padding + 1, size=2)
    np.testing.assert_array_equal(out, padded[top:top + 30, left:left + 20])


def test_pad_larger_than_the_image_and_all_offsets():
    img = np.ones((4, 3, 1), dtype=np.uint8)
    np.random.seed(0)
    sums = {int(PadRandomCrop(6)({'img': img})['img'].sum()) for _ in range(200)}
    assert 0 in sums  # shifted out of sight
    offsets = set()
    ramp = np.arange(1, 13, dtype=np.float32).reshape(4, 3, 1)
    for _ in range(300):
        out = PadRandomCrop(1, fill=-1)({'img': ramp})['img']
        offsets.add(tuple(np.argwhere(out[..., 0] == 5)[0]))  # 5 lies at (1, 1)
    assert offsets == {(i, j) for i in range(3) for j in range(3)}


def test_colour_jitter_stays_within_its_strength_and_rejects_floats(img):
    np.random.seed(0)
    out = ColorJitter(brightness=0.5)({'img': img})['img']
    np.random.seed(0)
    np.random.permutation(4)
    factor = np.random.uniform(0.5, 1.5)
    expected = np.array(functional.adjust_brightness(Image.fromarray(img), factor))
    np.testing.assert_array_equal(out, expected)
    assert not np.array_equal(ColorJitter(0.5, 0.5, 0.5, 0.5)({'img': img})['img'], img)
    np.testing.assert_array_equal(ColorJitter()({'img': img})['img'], img)
    with pytest.raises(ValueError, match='before Normalize'):
        ColorJitter(0.5)({'img': img.astype(np.float32)})
    with pytest.raises(ValueError, match='at most 0.5'):
        ColorJitter(hue=0.7)


@pytest.mark.parametrize('prob', [0.0, 0.3, 1.0])
def test_grayscale_is_torchvisions_as_often_as_asked(img, prob):
    np.random.seed(0)
    expected = np.array(functional.to_grayscale(Image.fromarray(img), num_output_channels=3))
    found = [RandomGrayscale(prob)({'img': img})['img'] for _ in range(400)]
    gray = [np.array_equal(out, expected) for out in found]
    assert all(np.array_equal(out, img) for out, is_gray in zip(found, gray) if not is_gray)
    assert abs(np.mean(gray) - prob) < 0.06


def test_grayscale_leaves_infrared_alone_and_rejects_floats(img):
    infrared = np.repeat(img[..., :1], 3, axis=2)
    np.testing.assert_array_equal(RandomGrayscale(1.0)({'img': infrared})['img'], infrared)
    with pytest.raises(ValueError, match='before Normalize'):
        RandomGrayscale()({'img': img.astype(np.float32)})


def test_by_modality_applies_the_right_list(img):
    transform = ByModality(visible=[ChannelExchange()], infrared=[{'type': 'PadRandomCrop'}])
    np.random.seed(0)
    out = transform({'img': img, 'modality': 0})['img']
    assert (out == out[..., :1]).all()
    out = transform({'img': img, 'modality': 1})['img']
    assert not (out == out[..., :1]).all()
    assert ByModality()({'img': img, 'modality': 1})['img'] is img


def test_views_start_from_the_same_image_and_are_packed_together(img):
    def spoil(results):
        results['img'][:] = 9
        return results

    views = MultiView([[spoil], [], [{'type': 'ChannelExchange'}]])
    np.random.seed(0)
    results = views({'img': img.copy(), 'modality': 0, 'img_path': 'a.jpg'})
    assert len(results['img']) == 3
    assert (results['img'][0] == 9).all()
    np.testing.assert_array_equal(results['img'][1], img)
    packed = PackReIDInputs()(results)
    assert packed['inputs'].shape == (3, 3, 40, 20)
    assert packed['inputs'].dtype == torch.uint8
    with pytest.raises(ValueError, match='at least one'):
        MultiView([])


def test_pack_keeps_pixels_and_annotations(img):
    info = {'img': img.astype(np.float32), 'img_path': 'a.jpg', 'sample_idx': 3, 'identity': 17,
            'label': 2, 'camera': 6, 'modality': 1, 'img_shape': (40, 20)}
    packed = PackReIDInputs()(dict(info))
    assert packed['inputs'].shape == (1, 3, 40, 20)
    assert packed['inputs'].is_contiguous()
    np.testing.assert_array_equal(packed['inputs'][0, 2].numpy(), info['img'][..., 2])
    sample = packed['data_samples']
    assert isinstance(sample, ReIDDataSample)
    del info['img'], info['img_shape']
    assert {key: sample.get(key) for key in sample.metainfo_keys()} == info


MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
NORMALIZE = {'type': 'Normalize', 'mean': MEAN, 'std': STD, 'to_rgb': False}
AFTER = [{'type': 'PadRandomCrop'}, {'type': 'RandomFlip', 'prob': 0.5}, NORMALIZE,
         {'type': 'RandomErasing'}]
BEFORE = [{'type': 'PadRandomCrop'}, {'type': 'RandomFlip', 'prob': 0.5},
          {'type': 'RandomErasing', 'fill': [125.307, 122.961, 113.858]}]
JITTER = {'type': 'ColorJitter', 'brightness': 0.5, 'contrast': 0.5, 'saturation': 0.5,
          'hue': 0.5}
RECIPES = {
    'agw': ([{'type': 'PadRandomCrop'}, {'type': 'RandomFlip', 'prob': 0.5}], 1, torch.uint8),
    'cift': (BEFORE, 1, torch.uint8),
    'caj': ([{'type': 'ByModality',
              'visible': [{'type': 'MultiView',
                           'views': [AFTER, [*AFTER, {'type': 'ChannelExchange'}]]}],
              'infrared': [*AFTER, {'type': 'ChannelAdapGray', 'prob': 0.5}]}],
            2, torch.float32),
    'bmil': ([{'type': 'ByModality',
               'visible': [{'type': 'MultiView', 'views': [
                   AFTER, [*AFTER[:2], JITTER, *AFTER[2:], {'type': 'ChannelExchange'}]]}],
               'infrared': [*AFTER[:2], JITTER, *AFTER[2:], {'type': 'ChannelAdapGray'}]}],
             2, torch.float32),
}


@pytest.mark.parametrize('name', RECIPES)
def test_published_recipes_are_configs(tmp_path, name):
    middle, visible_views, dtype = RECIPES[name]
    path = str(write_image(tmp_path / 'a.jpg', size=(30, 50)))
    load = {'type': 'LoadReIDImage', 'size': (288, 144)}
    pipeline = [TRANSFORMS.build(t) for t in (load, *middle, {'type': 'PackReIDInputs'})]

    def run(modality):
        results = {'img_path': path, 'modality': modality}
        for transform in pipeline:
            results = transform(results)
        return results['inputs']

    for modality, views in ((0, visible_views), (1, 1)):
        np.random.seed(4)
        first = run(modality)
        assert first.shape == (views, 3, 288, 144)
        assert first.dtype == dtype
        np.random.seed(4)
        assert torch.equal(run(modality), first)  # one seed, one result
        assert any(not torch.equal(run(modality), first) for _ in range(5))
    assert all('(' in repr(transform) for transform in pipeline)


def test_normalised_pipeline_equals_torchvision(tmp_path):
    path = str(write_image(tmp_path / 'a.png', size=(30, 50)))
    results = {'img_path': path}
    for config in ({'type': 'LoadReIDImage', 'size': (64, 32), 'interpolation': 'bicubic'},
                   NORMALIZE, {'type': 'PackReIDInputs'}):
        results = TRANSFORMS.build(config)(results)
    pillow = Image.open(path).convert('RGB').resize((32, 64), Image.Resampling.BICUBIC)
    expected = functional.normalize(
        functional.to_tensor(pillow), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(results['inputs'][0], expected, atol=1e-5, rtol=1e-5)
