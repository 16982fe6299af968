"""How hard the synthetic pictures are."""

from dataclasses import dataclass, fields

from mmvireid.utils.errors import ConfigError


@dataclass(frozen=True)
class Difficulty:
    """Strength of everything that hides a person's identity, and of what shows it.

    The defaults are tuned so that a small network learns something in minutes
    and is not perfect; each value is a plain number, so an easier or a harder
    world is one keyword away.

    Args:
        view_spread (float): Half-width, in degrees, of the viewpoint's jitter
            around the direction in which a person crosses a camera.
        gait (float): Amplitude of the walk, 1.0 for a natural stride.
        light (float): Spread of exposure, colour cast and infrared illuminator
            from picture to picture, 1.0 for the natural one.
        blur (float): Factor on each camera's blur.
        noise (float): Factor on each camera's noise.
        crop_jitter (float): Jitter of the detector's box, as a part of its size.
        occlusion (float): Factor on each camera's probability of an object in
            front of the person.
        visible_contrast (float): Smallest difference in brightness, 0 to 1,
            between the two colours of a pattern.
        infrared_contrast (float): The same for the two reflectances; its sign
            is independent of the visible one.
        pattern_rate (float): Probability that a garment has a pattern.
        extra_rate (float): Factor on the probability of bags, hats and scarves.
        shape_spread (float): Factor on the spread of body proportions.
        modality_gap (float): Share of the cloths, at most 1.0, whose infrared look is
            drawn apart from their colours, so that nothing can foretell it. The others
            look as bright in infrared as by day, but for ``inversion``. Sensors and
            places differ all the same.
        inversion (float): Share of the colour circle, at most 1.0, from cyan both ways,
            whose cloths are bright in infrared where they are dark by day, and the
            reverse: a rule that cannot be seen but can be learned from people seen in
            both modalities. It acts on the cloths that ``modality_gap`` leaves.

    Raises:
        ConfigError: If a value is negative, or a share of modality gap or inversion above 1.
    """

    view_spread: float = 30.0
    gait: float = 1.0
    light: float = 1.0
    blur: float = 1.0
    noise: float = 1.0
    crop_jitter: float = 0.04
    occlusion: float = 1.0
    visible_contrast: float = 0.25
    infrared_contrast: float = 0.25
    pattern_rate: float = 0.75
    extra_rate: float = 1.0
    shape_spread: float = 1.0
    modality_gap: float = 1.0
    inversion: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ConfigError(f'Difficulty.{field.name} must not be negative, '
                                  f'got {getattr(self, field.name)}.')
        for name in ('modality_gap', 'inversion'):
            if getattr(self, name) > 1:
                raise ConfigError(
                    f'Difficulty.{name} must be at most 1, got {getattr(self, name)}.')
