"""A synthetic world: its people, its places, and pictures of both."""

import numpy as np

from mmvireid.utils.errors import ConfigError

from .camera import Camera, Sensor
from .difficulty import Difficulty
from .figure import Figure
from .material import Material
from .painter import Painter
from .pedestrian import Pedestrian, sample_pedestrian
from .pose import Pose
from .scene import Scene

# First word of the random key of each kind of thing, so that kinds never share numbers.
_PERSON, _SCENE, _TRACK, _IMAGE = 1, 2, 3, 4


class SyntheticWorld:
    """People and places made from one seed.

    Every random number is keyed by (seed, what, who, camera, picture), never
    by the order of calls, so any process may draw any picture and gets the
    same bytes.

    Args:
        seed (int): Seed, not negative.
        difficulty (Difficulty | None): Strengths; the defaults if None.

    Examples:
        >>> from mmvireid.datasets.synthetic import SYSU_CAMERAS, SyntheticWorld
        >>> world = SyntheticWorld(seed=0)
        >>> world.image(identity=7, camera=SYSU_CAMERAS[3], index=1, size=(128, 64)).shape
        (128, 64, 3)
    """

    def __init__(self, seed: int, difficulty: Difficulty | None = None) -> None:
        if seed < 0:
            raise ConfigError(f'The seed must not be negative, got {seed}.')
        self.seed = seed
        self.difficulty = difficulty or Difficulty()
        self._people: dict[int, Pedestrian] = {}
        self._scenes: dict[tuple[int, bool], Scene] = {}
        self._sensors: dict[Camera, Sensor] = {}

    def rng(self, *key: int) -> np.random.Generator:
        """Return the random numbers of a key.

        Args:
            *key (int): Words of the key, not negative.

        Returns:
            np.random.Generator: A fresh generator.
        """
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence((self.seed, *key))))

    def person(self, identity: int) -> Pedestrian:
        """Return a person, the same one at each call.

        Args:
            identity (int): Number of the person.

        Returns:
            Pedestrian: The person.
        """
        if identity not in self._people:
            self._people[identity] = sample_pedestrian(
                self.rng(_PERSON, identity), self.difficulty)
        return self._people[identity]

    def scene(self, camera: Camera) -> Scene:
        """Return the place before a camera, as that camera sees it.

        Args:
            camera (Camera): Camera.

        Returns:
            Scene: The place.
        """
        key = (camera.scene, camera.infrared)
        if key not in self._scenes:
            self._scenes[key] = Scene(
                self.rng(_SCENE, camera.scene), camera.indoor, camera.infrared)
        return self._scenes[key]

    def image(self, identity: int, camera: Camera, index: int, size: tuple[int, int],
              view: float | None = None, occlude: bool | None = None) -> np.ndarray:
        """Take a picture of a person, cropped as a detector would.

        Args:
            identity (int): Number of the person.
            camera (Camera): Camera.
            index (int): Number of the picture.
            size (tuple[int, int]): Height and width, in pixels.
            view (float | None): Direction of walk in degrees, 0 towards the
                camera; drawn for the person and camera if None.
            occlude (bool | None): Whether something hides a part of the person;
                drawn if None.

        Returns:
            np.ndarray: RGB of shape ``(H, W, 3)``, uint8.
        """
        difficulty = self.difficulty
        person = self.person(identity)
        device = 2 * camera.number + camera.infrared
        track = self.rng(_TRACK, identity, device)
        rng = self.rng(_IMAGE, identity, device, index)
        height, width = size
        canvas = self.scene(camera).crop(rng, size)

        if view is None:
            view = camera.view + track.choice((0.0, 180.0, -2 * camera.view))
            if rng.random() < 0.25:
                view = rng.uniform(0, 360)
        yaw = float(np.deg2rad(view + difficulty.view_spread * rng.uniform(-1, 1)))
        pose = Pose(yaw, float(rng.uniform(0, 2 * np.pi)), 0.38 * difficulty.gait)
        jitter = difficulty.crop_jitter * rng.uniform(-1, 1, 4)
        scale = float(height * (0.92 + jitter[0]))
        origin = (float(width * (0.5 + 1.5 * jitter[1])),
                  float(height * (0.965 + 0.5 * jitter[2])))
        light = float(track.uniform(-1, 1))
        painter = Painter(canvas, origin, scale, camera.infrared, light)
        self._shadow(painter)
        Figure(person, pose).paint(painter)
        if occlude is None:
            occlude = rng.random() < camera.occlusion * difficulty.occlusion
        if occlude:
            self._occlude(painter, rng, size)

        if camera not in self._sensors:
            self._sensors[camera] = Sensor(camera, difficulty)
        return self._sensors[camera](canvas, rng)

    @staticmethod
    def _shadow(painter: Painter) -> None:
        dark = Material((0.12, 0.12, 0.14), (0.1, 0.1, 0.1), 0.06, 0.06)
        angle = np.linspace(0, 2, 16) * np.pi
        outline = np.stack([0.17 * np.cos(angle), 0.01 + 0.012 * np.sin(angle)], axis=1)
        painter.fill(outline, dark)

    @staticmethod
    def _occlude(painter: Painter, rng: np.random.Generator, size: tuple[int, int]) -> None:
        grey = rng.uniform(0.1, 0.8)
        colour = tuple(grey * rng.uniform(0.6, 1.0, 3))
        glow = rng.uniform(0.1, 0.7)
        material = Material(colour, colour, glow, glow)
        half = 0.5 * size[1] / painter.scale
        side = rng.choice((-1.0, 1.0))
        if rng.random() < 0.5:
            # A post or a door frame at one side.
            inner = side * half * rng.uniform(0.25, 0.75)
            outer = side * half * 1.4
            x0, x1, low, high = min(inner, outer), max(inner, outer), -0.2, 1.3
        else:
            # A desk, a hedge or a car before the legs.
            high = rng.uniform(0.12, 0.32)
            x0, x1, low = -2 * half, rng.uniform(0.2, 2.0) * half, -0.2
            if side < 0:
                x0, x1 = -x1, -x0
        painter.fill(np.array([(x0, low), (x1, low), (x1, high), (x0, high)]), material,
                     ((x0, high), (x0, low), 2 * (x1 - x0)))
