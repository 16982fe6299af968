"""What a synthetic picture shows, and what it must not."""

from colorsys import rgb_to_hsv
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.datasets.synthetic import (
    LLCM_CAMERAS,
    REGDB_CAMERAS,
    SYSU_CAMERAS,
    Difficulty,
    SyntheticWorld,
    contact_sheet,
)
from mmvireid.datasets.synthetic.camera import Sensor
from mmvireid.datasets.synthetic.material import REPEATED, Pattern
from mmvireid.datasets.synthetic.painter import Painter

SIZE = (96, 48)
CALM = Difficulty(view_spread=0, light=0, blur=0, noise=0, crop_jitter=0, occlusion=0)
INFRARED = (3, 6)


def brightness(colour):
    return float(np.dot(colour, (0.299, 0.587, 0.114)))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**40), identity=st.integers(1, 9999), camera=st.sampled_from(
    [*SYSU_CAMERAS.values(), *REGDB_CAMERAS.values(), *LLCM_CAMERAS.values()]),
    index=st.integers(1, 999), height=st.integers(32, 200), width=st.integers(32, 120))
def test_same_key_same_picture_whatever_was_drawn_before(seed, identity, camera, index, height,
                                                         width):
    first = SyntheticWorld(seed).image(identity, camera, index, (height, width))
    world = SyntheticWorld(seed)
    world.image(identity + 1, camera, index, SIZE)
    world.image(identity, SYSU_CAMERAS[6], 2, SIZE)
    again = world.image(identity, camera, index, (height, width))
    assert first.shape == (height, width, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)


def test_seed_person_camera_and_index_each_change_the_picture():
    base = SyntheticWorld(0).image(1, SYSU_CAMERAS[1], 1, SIZE)
    others = [SyntheticWorld(1).image(1, SYSU_CAMERAS[1], 1, SIZE),
              SyntheticWorld(0).image(2, SYSU_CAMERAS[1], 1, SIZE),
              SyntheticWorld(0).image(1, SYSU_CAMERAS[2], 1, SIZE),
              SyntheticWorld(0).image(1, SYSU_CAMERAS[1], 2, SIZE)]
    for other in others:
        assert np.abs(base.astype(int) - other).mean() > 3


@pytest.mark.parametrize('number', SYSU_CAMERAS)
def test_infrared_has_no_colour_and_visible_has(number):
    world = SyntheticWorld(0)
    for identity in range(1, 6):
        image = world.image(identity, SYSU_CAMERAS[number], 1, SIZE).astype(int)
        spread = (image.max(axis=2) - image.min(axis=2))
        if number in INFRARED:
            assert spread.max() == 0
        else:
            assert spread.mean() > 8


def test_reflectance_follows_neither_colour_nor_the_sign_of_a_pattern():
    world = SyntheticWorld(0)
    people = [world.person(identity) for identity in range(1, 801)]
    cloths = [cloth for p in people for cloth in (p.upper, p.lower, p.bag_material)]
    colour = [brightness(c.colour) for c in cloths]
    reflectance = [c.reflectance for c in cloths]
    assert abs(np.corrcoef(colour, reflectance)[0, 1]) < 0.08
    for channel in range(3):
        values = [c.colour[channel] for c in cloths]
        assert abs(np.corrcoef(values, reflectance)[0, 1]) < 0.08
    visible = np.array([brightness(c.accent) > brightness(c.colour) for c in cloths])
    infrared = np.array([c.accent_reflectance > c.reflectance for c in cloths])
    assert abs(np.mean(visible == infrared) - 0.5) < 0.05


def cloths_of(**strengths):
    world = SyntheticWorld(0, Difficulty(**strengths))
    people = [world.person(identity) for identity in range(1, 101)]
    return [cloth for p in people for cloth in (p.upper, p.lower, p.shoe)]


def test_modality_gap_is_the_share_of_cloths_whose_reflectance_is_drawn_apart():
    default, half, none = (cloths_of(modality_gap=gap) for gap in (1.0, 0.5, 0.0))
    assert cloths_of() == default == cloths_of(inversion=1.0)
    apart = 0
    for one, two, three in zip(default, half, none):
        # Colours and patterns do not depend on it.
        assert (one.colour, one.accent, one.pattern) == (two.colour, two.accent, two.pattern)
        assert three.reflectance == pytest.approx(brightness(three.colour))
        assert three.accent_reflectance == pytest.approx(brightness(three.accent))
        same = two.reflectance == three.reflectance
        assert same or two.reflectance == one.reflectance
        apart += not same
    assert 0.4 < apart / len(half) < 0.6


def test_inversion_is_a_rule_about_the_hue():
    same, some, all_ = (cloths_of(modality_gap=0, inversion=i) for i in (0.0, 0.4, 1.0))
    inverted = [two.reflectance != one.reflectance for one, two in zip(same, some)]
    hues = np.array([rgb_to_hsv(*cloth.colour)[0] for cloth in some])
    np.testing.assert_array_equal(inverted, np.abs(hues - 0.5) <= 0.2)
    assert 0.3 < np.mean(inverted) < 0.5
    for one, three in zip(same, all_):
        assert three.reflectance == pytest.approx(1 - one.reflectance)
        assert three.accent_reflectance == pytest.approx(1 - one.accent_reflectance)


def test_modality_gap_leaves_visible_pictures_as_they_are():
    calm = SyntheticWorld(0), SyntheticWorld(0, Difficulty(modality_gap=0.3, inversion=0.5))
    for number in (1, 4):
        one, two = (world.image(5, SYSU_CAMERAS[number], 1, SIZE) for world in calm)
        np.testing.assert_array_equal(one, two)
    for name in ('modality_gap', 'inversion'):
        with pytest.raises(ValueError, match=f'{name} must be at most 1, got 1.5'):
            Difficulty(**{name: 1.5})


def test_patterns_keep_their_contrast_in_both_modalities():
    world = SyntheticWorld(3)
    cloths = [world.person(identity).upper for identity in range(1, 101)]
    contrast = Difficulty().infrared_contrast
    assert min(abs(c.accent_reflectance - c.reflectance) for c in cloths) > contrast - 0.01
    visible = [abs(brightness(c.accent) - brightness(c.colour)) for c in cloths]
    # Bright saturated accents are clipped to the gamut, which may cost a little.
    assert np.mean(np.array(visible) > Difficulty().visible_contrast - 0.01) > 0.9


def test_people_differ_in_shape_pattern_and_accessories():
    world = SyntheticWorld(0)
    people = [world.person(identity) for identity in range(1, 201)]
    kinds = {(p.hair_style, p.hat, p.upper.pattern and p.upper.pattern.name,
              p.lower.pattern and p.lower.pattern.name, p.lower_style, p.bag) for p in people}
    assert len(kinds) > 190
    for name, at_least in (('hair_style', 7), ('hat', 5), ('lower_style', 3), ('bag', 5)):
        assert len({getattr(p, name) for p in people}) == at_least


@pytest.mark.parametrize(('field', 'values'), [
    ('hair_style', ('bald', 'short', 'bob', 'long', 'ponytail', 'bun', 'afro')),
    ('hat', ('none', 'cap', 'beanie', 'brim', 'hood')),
    ('bag', ('none', 'backpack', 'messenger', 'handbag', 'suitcase')),
    ('lower_style', ('trousers', 'shorts', 'skirt')),
    ('scarf', (False, True)),
    ('sleeve', (0.0, 0.45, 1.0)),
    ('shoe_height', (0.03, 0.22)),
    ('opening', (0.0, 0.5)),
])
@pytest.mark.parametrize('number', [1, 3])
def test_each_attribute_shows_in_both_modalities(field, values, number):
    # Long hair hides behind a person who comes; a backpack's straps do not: look from behind too.
    world = SyntheticWorld(0, CALM)
    person = replace(world.person(12), hat='none', hair_style='short', lower_hem=0.3)
    pictures = []
    for value in values:
        world._people[12] = replace(person, **{field: value})
        pictures.append(np.concatenate([
            world.image(12, SYSU_CAMERAS[number], 1, (128, 64), view=view)
            for view in (20.0, 200.0)]).astype(int))
    for i, first in enumerate(pictures):
        for second in pictures[:i]:
            assert (np.abs(first - second) > 12).any(axis=2).sum() >= 20


@pytest.mark.parametrize('name', [*REPEATED, 'yoke', 'hem', 'band', 'fade', 'halves', 'sides'])
def test_each_pattern_has_two_tones(name):
    rows, columns = np.mgrid[0:60, 0:60].astype(np.float32) / 200
    tone = Pattern(name, 0.08, 0.3)(columns - 0.15, rows, rows / 0.3, columns / 0.15 - 1, 0.005)
    assert tone.shape == rows.shape
    assert tone.min() >= 0
    assert tone.max() <= 1
    assert 0.08 < tone.mean() < 0.92
    assert tone.std() > 0.15


def test_unknown_pattern_is_named():
    with pytest.raises(ValueError, match='paisley'):
        Pattern('paisley', 0.1, 0.0)(*[np.zeros((2, 2))] * 4, 0.01)


def contours(camera, seed):
    grey = SyntheticWorld(seed).scene(SYSU_CAMERAS[camera]).picture.astype(float).mean(axis=2)
    return np.hypot(*np.gradient(grey)) > 3


def test_cameras_2_and_3_look_at_the_same_room():
    overlap = dict.fromkeys((1, 2, 4, 5, 6), 0.0)
    for seed in range(4):
        room = contours(3, seed)
        for number in overlap:
            other = contours(number, seed)
            overlap[number] += (room & other).sum() / min(room.sum(), other.sum()) / 4
    # Not all of it: two things of different colour may be alike in infrared.
    assert overlap[2] > 0.75
    assert overlap[2] > 1.5 * max(overlap[n] for n in (1, 4, 5, 6))


def test_each_camera_has_its_own_light_blur_and_noise():
    flat = np.full((96, 48, 3), 0.5, np.float32)
    means, noises = {}, {}
    for number, camera in SYSU_CAMERAS.items():
        light = flat[..., :1] if camera.infrared else flat
        shots = [Sensor(camera, Difficulty(light=0))(light, np.random.default_rng(k))
                 for k in range(4)]
        means[number] = np.mean(shots, axis=(0, 1, 2))
        noises[number] = float(np.std(np.asarray(shots, float)[:, 40:56, 20:28, 0]))
    assert min(noises[n] for n in INFRARED) > max(noises[n] for n in (1, 2, 4, 5))
    visible = np.array([means[n] for n in (1, 2, 4, 5)])
    distances = np.abs(visible[:, None] - visible[None]).max(axis=2)
    assert distances[~np.eye(4, dtype=bool)].min() > 3
    blurs = {(c.blur, c.noise, c.exposure) for c in SYSU_CAMERAS.values()}
    assert len(blurs) == len(SYSU_CAMERAS)


@pytest.mark.parametrize('name', ['light', 'noise', 'blur', 'occlusion', 'crop_jitter',
                                  'view_spread', 'gait'])
def test_each_strength_changes_pictures(name):
    calm = Difficulty(light=0, noise=0, blur=0, occlusion=0, crop_jitter=0, view_spread=0, gait=0)
    strong = {'occlusion': 100.0, 'crop_jitter': 0.1, 'view_spread': 90.0}.get(name, 2.0)
    one, two = (SyntheticWorld(0, d).image(3, SYSU_CAMERAS[6], 5, SIZE).astype(int)
                for d in (calm, replace(calm, **{name: strong})))
    assert (np.abs(one - two) > 8).mean() > 0.01


@pytest.mark.parametrize('name', [f.name for f in fields(Difficulty)])
def test_negative_strength_is_refused(name):
    with pytest.raises(ValueError, match=f'{name} must not be negative'):
        Difficulty(**{name: -0.1})


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match='seed must not be negative'):
        SyntheticWorld(-1)


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-0.5, 0.5), y=st.floats(-0.2, 1.2), dx=st.floats(-0.5, 0.5),
       dy=st.floats(-0.5, 0.5), half=st.floats(0.004, 0.15))
def test_a_part_changes_nothing_away_from_itself(x, y, dx, dy, half):
    canvas = np.full((96, 48, 3), 0.5, np.float32)
    painter = Painter(canvas, (24.3, 90.6), 80.0, False)
    cloth = SyntheticWorld(0).person(1).upper.plain()
    painter.capsule((x, y), (x + dx, y + dy), half, half, cloth)
    assert not painter._mask.any()
    rows, columns = np.mgrid[0:96, 0:48]
    right, up = (columns - 24.3) / 80, (90.6 - rows) / 80
    along = np.clip(((right - x) * dx + (up - y) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    distance = np.hypot(right - x - along * dx, up - y - along * dy)
    changed = np.abs(canvas - 0.5).max(axis=2) > 1e-6
    assert not changed[distance > half + 2.5 / 80].any()
    assert canvas.min() >= 0


def normalised(rows):
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_raw_pixels_find_their_own_modality():
    world = SyntheticWorld(0)
    keys = [(identity, number) for identity in range(1, 31) for number in SYSU_CAMERAS]
    rows = np.stack([world.image(i, SYSU_CAMERAS[n], 1, (64, 32))[::4, ::4].ravel()
                     for i, n in keys]).astype(float)
    similarity = normalised(rows) @ normalised(rows).T
    np.fill_diagonal(similarity, -2)
    infrared = np.array([n in INFRARED for _, n in keys])
    nearest = similarity.argmax(axis=1)
    assert np.mean(infrared[nearest] == infrared) > 0.85


def test_shape_and_pattern_carry_over_to_infrared_and_brightness_does_not():
    # Same moment, same viewpoint, no disturbance: what is left is what identifies a person.
    world = SyntheticWorld(0, CALM)
    people = range(1, 41)

    def descriptor(identity, number, contours):
        rows = []
        for view in (0.0, 90.0):
            image = world.image(identity, SYSU_CAMERAS[number], 1, (128, 64), view=view)
            grey = image.mean(axis=2)
            if contours:
                grey = np.minimum(np.hypot(*np.gradient(grey)), 12)
            rows.append(grey.reshape(32, 4, 16, 4).mean(axis=(1, 3)).ravel())
        return np.concatenate(rows)

    def rank1(contours):
        query = normalised(np.stack([descriptor(i, 3, contours) for i in people]))
        gallery = normalised(np.stack([descriptor(i, 1, contours) for i in people]))
        return np.mean((query @ gallery.T).argmax(axis=1) == np.arange(len(people)))

    # The pose differs between the cameras, so even contours are far from perfect; chance is 2.5 %.
    assert rank1(True) > 0.3
    assert rank1(True) > 1.5 * rank1(False)


def test_contact_sheet_has_a_row_per_person_and_a_column_per_camera():
    sheet = contact_sheet(SyntheticWorld(0), [1, 2, 3], size=(64, 32))
    assert sheet.shape == (22 + 3 * 68, 46 + 6 * 36, 3)
    infrared = sheet[22:22 + 64, 46 + 4 * 36:46 + 4 * 36 + 32].astype(int)
    visible = sheet[22:22 + 64, 46:46 + 32].astype(int)
    assert np.ptp(infrared, axis=2).max() == 0
    assert np.ptp(visible, axis=2).mean() > 3
    with pytest.raises(ValueError, match='at least one person'):
        contact_sheet(SyntheticWorld(0), [])
