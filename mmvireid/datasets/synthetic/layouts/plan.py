"""What is to be written: pictures and the text files beside them."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mmvireid.utils.errors import ConfigError

from ..camera import Camera
from ..difficulty import Difficulty
from ..world import SyntheticWorld


@dataclass(frozen=True)
class Request:
    """What a user asks of the generator.

    Args:
        layout (str): 'sysu', 'regdb' or 'llcm'.
        ids (int): Number of people, test people included.
        test_ids (int | None): Number of people for the test; None for the
            share the real dataset has.
        images_per_camera (int | None): Pictures of a person in a camera; None
            for the real dataset's number.
        size (tuple[int, int] | None): Height and width in pixels; None for the
            real dataset's size.
        seed (int): Seed.
        difficulty (Difficulty): Strengths.

    Raises:
        ConfigError: If a number is out of range.
    """

    layout: str
    ids: int
    test_ids: int | None = None
    images_per_camera: int | None = None
    size: tuple[int, int] | None = None
    seed: int = 0
    difficulty: Difficulty = field(default_factory=Difficulty)

    def __post_init__(self) -> None:
        if not 4 <= self.ids <= 9999:
            raise ConfigError(f'The number of people must be 4 to 9999, got {self.ids}.')
        if self.test_ids is not None and not 2 <= self.test_ids <= self.ids - 2:
            raise ConfigError(f'The number of test people must leave 2 on either side, so 2 to '
                              f'{self.ids - 2} of {self.ids}, got {self.test_ids}.')
        if self.images_per_camera is not None and not 1 <= self.images_per_camera <= 999:
            raise ConfigError('The number of pictures per person and camera must be 1 to 999, '
                              f'got {self.images_per_camera}.')
        if self.size is not None and not all(16 <= side <= 512 for side in self.size):
            raise ConfigError('Height and width must be 16 to 512 pixels, got '
                              f'{self.size[0]} x {self.size[1]}.')
        if self.seed < 0:
            raise ConfigError(f'The seed must not be negative, got {self.seed}.')

    def world(self) -> SyntheticWorld:
        """Return the people and places of the request."""
        return SyntheticWorld(self.seed, self.difficulty)

    def as_dict(self) -> dict[str, Any]:
        """Return the request as plain JSON values.

        Returns:
            dict[str, Any]: Field name to value.
        """
        values = asdict(self)
        if self.size is not None:
            values['size'] = list(self.size)
        return values


@dataclass(frozen=True)
class ImageTask:
    """One picture to draw.

    Args:
        paths (tuple[str, ...]): Where it is written, below the dataset's folder;
            LLCM stores its test pictures twice.
        identity (int): Person.
        camera (Camera): Camera.
        index (int): Number of the picture.
        size (tuple[int, int]): Height and width.
        view (float | None): Direction of walk in degrees, None to draw one.
    """

    paths: tuple[str, ...]
    identity: int
    camera: Camera
    index: int
    size: tuple[int, int]
    view: float | None = None


@dataclass(frozen=True)
class Plan:
    """Everything a dataset folder will hold.

    Args:
        tasks (list[ImageTask]): Pictures.
        files (dict[str, bytes]): Other files: path below the dataset's folder
            to content.
    """

    tasks: list[ImageTask]
    files: dict[str, bytes]


def split_rng(seed: int, *key: int) -> np.random.Generator:
    """Return the random numbers of a layout's splits.

    Args:
        seed (int): Seed of the request.
        *key (int): What the numbers are for.

    Returns:
        np.random.Generator: A fresh generator, apart from those of the pictures.
    """
    return np.random.default_rng((seed, 9, *key))


def varied_size(rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int]:
    """Vary a size as a detector's boxes vary.

    Args:
        rng (np.random.Generator): Random numbers.
        size (tuple[int, int]): Middle height and width.

    Returns:
        tuple[int, int]: Height and width, up to 12 % away.
    """
    factor = rng.uniform(0.88, 1.12, 2)
    return round(size[0] * factor[0]), round(size[1] * factor[0] * (1 + 0.4 * (factor[1] - 1)))
