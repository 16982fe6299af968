"""Who a synthetic person is: everything that stays the same from camera to camera."""

import colorsys
from dataclasses import dataclass

import numpy as np

from .difficulty import Difficulty
from .material import Material, Pattern

_PATTERNS = ('horizontal', 'vertical', 'diagonal', 'checks', 'gingham', 'grid', 'dots', 'zigzag',
             'argyle', 'camouflage', 'yoke', 'hem', 'band', 'fade', 'halves')
_LOWER_PATTERNS = ('vertical', 'diagonal', 'checks', 'grid', 'dots', 'camouflage', 'hem', 'sides',
                   'sides', 'horizontal')

_CYAN = 0.5


@dataclass(frozen=True)
class Body:
    """Proportions of a body; lengths in body heights.

    Args:
        hip (float): Height of the hip joints above the ground.
        shoulder (float): Height of the shoulders.
        shoulder_width (float): Half-width of the shoulders.
        waist_width (float): Half-width of the waist.
        hip_width (float): Half-width of the hips.
        depth (float): Half-depth of the trunk.
        head (float): Half-height of the head.
        limb (float): Factor on the thickness of arms and legs.
        stoop (float): Forward lean of the trunk, in body heights.
        stride (float): Factor on the amplitude of the gait.
    """

    hip: float
    shoulder: float
    shoulder_width: float
    waist_width: float
    hip_width: float
    depth: float
    head: float
    limb: float
    stoop: float
    stride: float


@dataclass(frozen=True)
class Pedestrian:
    """Identity of a synthetic person.

    Args:
        body (Body): Proportions.
        gender (str): 'male' or 'female'; only RegDB's file names show it.
        skin (Material): Skin.
        hair (Material): Hair.
        hair_style (str): 'bald', 'short', 'bob', 'long', 'ponytail', 'bun' or 'afro'.
        hat (str): 'none', 'cap', 'beanie', 'brim' or 'hood'.
        hat_material (Material): Cloth of the hat, and of the scarf.
        scarf (bool): Whether a scarf is worn.
        upper (Material): Cloth of the upper garment.
        sleeve (float): Length of the sleeves, 0 for none, 1 down to the wrist.
        sleeve_material (Material): Cloth of the sleeves.
        upper_hem (float): Height of the upper garment's hem above the ground,
            in body heights; a coat reaches below the hips.
        flare (float): How much the garment widens below the waist.
        opening (float): Half-angle of an open front, in radians, 0 when closed.
        inner (Material): Cloth seen in the opening.
        logo (tuple[float, float, float] | None): Half-angle, height and position
            of a print on the chest, None without one.
        belt (Material | None): Belt.
        lower (Material): Cloth of trousers, shorts or skirt.
        lower_style (str): 'trousers', 'shorts' or 'skirt'.
        lower_hem (float): Height of its hem above the ground, in body heights.
        lower_width (float): Factor on the width of the legs, or of the skirt's hem.
        socks (Material | None): What covers the leg below the hem; skin if None.
        shoe (Material): Shoes.
        shoe_height (float): Height of the shaft, in body heights.
        bag (str): 'none', 'backpack', 'messenger', 'handbag' or 'suitcase'.
        bag_side (int): -1 for the person's right hand, 1 for the left.
        bag_size (float): Factor on the bag's size.
        bag_material (Material): Cloth of the bag.
    """

    body: Body
    gender: str
    skin: Material
    hair: Material
    hair_style: str
    hat: str
    hat_material: Material
    scarf: bool
    upper: Material
    sleeve: float
    sleeve_material: Material
    upper_hem: float
    flare: float
    opening: float
    inner: Material
    logo: tuple[float, float, float] | None
    belt: Material | None
    lower: Material
    lower_style: str
    lower_hem: float
    lower_width: float
    socks: Material | None
    shoe: Material
    shoe_height: float
    bag: str
    bag_side: int
    bag_size: float
    bag_material: Material


def _brightness(colour: tuple[float, float, float]) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _hue_distance(colour: tuple[float, float, float], hue: float) -> float:
    """Return the distance on the colour circle, in turns."""
    return abs((colorsys.rgb_to_hsv(*colour)[0] - hue + 0.5) % 1 - 0.5)


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    # Real wardrobes are mostly muted: saturation is low more often than high.
    saturation = 0.9 * rng.uniform()**1.3
    return colorsys.hsv_to_rgb(rng.uniform(), saturation, rng.uniform(0.12, 0.95))


def _distant(rng: np.random.Generator, value: float, gap: float, low: float, high: float) -> float:
    """Draw a value at least ``gap`` away from another, either side with equal chance.

    Args:
        rng (np.random.Generator): Random numbers.
        value (float): The other value.
        gap (float): Smallest distance.
        low (float): Smallest result.
        high (float): Largest result.

    Returns:
        float: The value; the sign of its difference is random where both fit.
    """
    below, above = value - gap > low, value + gap < high
    if below and (not above or rng.random() < 0.5):
        return rng.uniform(low, value - gap)
    return rng.uniform(min(value + gap, high - 1e-3), high)


def _cloth(rng: np.random.Generator, difficulty: Difficulty,
           patterns: tuple[str, ...] = ()) -> Material:
    colour = _colour(rng)
    target = _distant(rng, _brightness(colour), difficulty.visible_contrast, 0.05, 0.97)
    accent = _colour(rng)
    scale = target / max(_brightness(accent), 1e-3)
    accent = tuple(float(min(1.0, c * scale)) for c in accent)
    reflectance = rng.uniform(0.12, 0.95)
    accent_reflectance = _distant(rng, reflectance, difficulty.infrared_contrast, 0.08, 0.98)
    # Random numbers of its own: whatever the gap, a person keeps shape and colours.
    if difficulty.modality_gap < 1 and rng.spawn(1)[0].random() >= difficulty.modality_gap:
        reflectance, accent_reflectance = _brightness(colour), _brightness(accent)
        if difficulty.inversion > 0 and _hue_distance(colour, _CYAN) <= difficulty.inversion / 2:
            reflectance, accent_reflectance = 1 - reflectance, 1 - accent_reflectance
    pattern = None
    if patterns and rng.random() < difficulty.pattern_rate:
        pattern = Pattern(patterns[rng.integers(len(patterns))], rng.uniform(0.045, 0.13),
                          rng.uniform())
    return Material(colour, accent, reflectance, accent_reflectance, pattern)


def _body(rng: np.random.Generator, spread: float) -> Body:
    def around(centre: float, half: float) -> float:
        return centre + half * spread * rng.uniform(-1, 1)

    hip = around(0.475, 0.04)
    weight = around(1.0, 0.28)
    return Body(
        hip=hip, shoulder=hip + around(0.335, 0.02),
        shoulder_width=around(0.118, 0.022) * weight**0.7,
        waist_width=around(0.092, 0.012) * weight, hip_width=around(0.1, 0.014) * weight,
        depth=around(0.07, 0.012) * weight, head=around(0.072, 0.009),
        limb=around(1.0, 0.12) * weight**.6, stoop=around(0.012, 0.02),
        stride=around(1.0, 0.35))


def sample_pedestrian(rng: np.random.Generator,
                      difficulty: Difficulty | None = None) -> Pedestrian:
    """Draw a person.

    Shape, pattern and accessories identify; colour and reflectance are drawn
    apart, so that neither tells the other (unless the modality gap is below 1).

    Args:
        rng (np.random.Generator): Random numbers of this person.
        difficulty (Difficulty | None): Strengths; the defaults if None.

    Returns:
        Pedestrian: The person.
    """
    difficulty = difficulty or Difficulty()

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    def pick(*options):
        return options[rng.integers(len(options))]

    body = _body(rng, difficulty.shape_spread)
    tone = rng.uniform(0.35, 0.95)
    glow = rng.uniform(0.62, 0.78)
    skin = Material((tone, tone * 0.76, tone * 0.6), (tone, tone * 0.76, tone * 0.6), glow, glow)
    shade = rng.uniform(0.03, 0.6)
    hair_colour = (shade, shade * rng.uniform(0.6, 0.9), shade * rng.uniform(0.3, 0.8))
    hair_glow = rng.uniform(0.12, 0.6)
    hair = Material(hair_colour, hair_colour, hair_glow, hair_glow)
    gender = pick('male', 'female')
    hair_style = pick('bald', 'short', 'short', 'bob', 'long', 'long', 'ponytail', 'bun', 'afro')
    hat = 'none'
    if chance(0.4 * difficulty.extra_rate):
        hat = pick('cap', 'beanie', 'brim', 'hood')

    upper = _cloth(rng, difficulty, _PATTERNS)
    length = pick('crop', 'waist', 'hip', 'hip', 'coat', 'coat')
    hem = body.hip + {'crop': 0.08, 'waist': 0.03, 'hip': -0.035, 'coat': -0.13}[length]
    if length == 'coat':
        hem -= rng.uniform(0, 0.12)
    opening = 0.0
    if length in ('hip', 'coat') and chance(0.4):
        opening = rng.uniform(0.25, 0.6)
    inner = _cloth(rng, difficulty)
    logo = None
    if opening == 0 and (upper.pattern is None or chance(0.15)):
        logo = (rng.uniform(0.3, 0.75), rng.uniform(0.12, 0.38), rng.uniform(0.2, 0.45))
    sleeve = 1.0 if length == 'coat' else pick(0.0, 0.45, 0.45, 0.75, 1.0, 1.0)
    sleeves = pick('same', 'same', 'same', 'plain', 'accent')
    sleeve_material = {'same': upper, 'plain': upper.plain(), 'accent': upper.swapped()}[sleeves]

    lower_style = pick('trousers', 'trousers', 'trousers', 'shorts', 'skirt', 'skirt')
    lower = _cloth(rng, difficulty, _LOWER_PATTERNS)
    if lower_style == 'trousers':
        lower_hem, lower_width = pick(0.04, 0.04, 0.12), pick(0.85, 1.0, 1.35, 1.7)
    elif lower_style == 'shorts':
        lower_hem, lower_width = rng.uniform(0.24, 0.36), rng.uniform(1.0, 1.6)
    else:
        lower_hem, lower_width = rng.uniform(0.08, 0.36), rng.uniform(0.9, 1.9)
    lower_hem = min(lower_hem, body.hip - 0.1)
    hem = max(hem, 0.14)
    if lower_style != 'trousers':
        hem = max(hem, min(lower_hem + 0.04, body.hip - 0.035))
    socks = _cloth(rng, difficulty) if chance(0.35) else None

    bag = 'none'
    if chance(0.7 * difficulty.extra_rate):
        bag = pick('backpack', 'backpack', 'messenger', 'handbag', 'suitcase')
    return Pedestrian(
        body=body, gender=gender, skin=skin, hair=hair, hair_style=hair_style, hat=hat,
        hat_material=_cloth(rng, difficulty), scarf=chance(0.22 * difficulty.extra_rate),
        upper=upper, sleeve=sleeve, sleeve_material=sleeve_material, upper_hem=hem,
        flare=rng.uniform(0.95, 1.35), opening=opening, inner=inner, logo=logo,
        belt=_cloth(rng, difficulty) if chance(0.3) else None, lower=lower,
        lower_style=lower_style, lower_hem=lower_hem, lower_width=lower_width, socks=socks,
        shoe=_cloth(rng, difficulty), shoe_height=pick(0.03, 0.03, 0.07, 0.15, 0.22), bag=bag,
        bag_side=int(pick(-1, 1)), bag_size=rng.uniform(0.75, 1.35),
        bag_material=_cloth(rng, difficulty, ('horizontal', 'vertical', 'dots', 'checks', 'hem')))
