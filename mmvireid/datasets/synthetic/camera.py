"""Cameras: where they hang, how they see, and what they do to a picture."""

from dataclasses import dataclass

import cv2
import numpy as np

from .difficulty import Difficulty

_NOISE_SIZE = 640


@dataclass(frozen=True)
class Camera:
    """A surveillance camera.

    Args:
        number (int): Number as the dataset writes it.
        infrared (bool): Whether it is an infrared camera.
        scene (int): Place it looks at; two cameras may share one.
        indoor (bool): A room, or a street.
        view (float): Main direction of walk before it, in degrees; people also
            come the other way.
        exposure (float): Factor on brightness.
        cast (tuple[float, float, float]): Factor on each colour channel; unused
            by infrared cameras.
        contrast (float): Factor on the distance from middle grey.
        blur (float): Standard deviation of the blur, as a part of the height
            of the picture, in thousandths.
        noise (float): Standard deviation of the noise, in [0, 1].
        vignette (float): Loss of light in the corners; for infrared cameras the
            fall-off of the illuminator.
        occlusion (float): Probability of an object in front of the person.
        quality (int): JPEG quality.
    """

    number: int
    infrared: bool
    scene: int
    indoor: bool
    view: float
    exposure: float = 1.0
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    blur: float = 2.0
    noise: float = 0.015
    vignette: float = 0.15
    occlusion: float = 0.12
    quality: int = 90


class Sensor:
    """What a camera does to light on its way to the file.

    Args:
        camera (Camera): Camera.
        difficulty (Difficulty): Strengths.
    """

    def __init__(self, camera: Camera, difficulty: Difficulty) -> None:
        self.camera = camera
        self.difficulty = difficulty
        # One bank of noise for everybody: drawing fresh noise would cost more than the figure.
        bank = np.random.default_rng(20170)
        channels = 1 if camera.infrared else 3
        noise = bank.standard_normal((_NOISE_SIZE, _NOISE_SIZE, channels)).astype(np.float32)
        if camera.infrared:
            noise = 0.6 * noise + 0.9 * cv2.GaussianBlur(noise, (0, 0), 0.8)[..., None]
        self._noise = noise

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Expose a picture.

        Args:
            picture (np.ndarray): Light of shape ``(H, W, C)``, float32 in [0, 1].
            rng (np.random.Generator): Random numbers of the picture.

        Returns:
            np.ndarray: RGB of shape ``(H, W, 3)``, uint8; the three channels of
            an infrared camera are equal.
        """
        camera, difficulty = self.camera, self.difficulty
        height, width, channels = picture.shape
        spread = difficulty.light
        exposure = camera.exposure * np.exp(0.16 * spread * rng.standard_normal())
        contrast = camera.contrast * np.exp(0.1 * spread * rng.standard_normal())
        tint = np.ones(channels)
        if not camera.infrared:
            tint = np.asarray(camera.cast) * np.exp(0.05 * spread * rng.standard_normal(3))
        sigma = camera.blur * 1e-3 * height * difficulty.blur * np.exp(0.3 * rng.standard_normal())
        if sigma > 0.15:
            picture = cv2.GaussianBlur(picture, (0, 0), sigma).reshape(picture.shape)

        # 255 * ((x * exposure * tint - 1/2) * contrast + 1/2), one product and one sum.
        gain = (255 * exposure * contrast * tint).astype(np.float32)
        picture = picture * gain
        picture *= self._falloff(height, width, rng)
        picture += np.float32(255 * (0.5 - 0.5 * contrast))
        strength = camera.noise * difficulty.noise
        if strength > 0:
            y = rng.integers(_NOISE_SIZE - height + 1)
            x = rng.integers(_NOISE_SIZE - width + 1)
            picture += np.float32(255 * strength) * self._noise[y:y + height, x:x + width]
        image = np.clip(picture, 0, 255, out=picture).astype(np.uint8)
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if camera.infrared else image

    def _falloff(self, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
        strength = self.camera.vignette * self.difficulty.light
        cx, cy = rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.6)
        x = (np.arange(width, dtype=np.float32) / width - cx)**2
        y = (np.arange(height, dtype=np.float32) / height - cy)**2
        return np.maximum(1 - np.float32(strength * 2) * (x[None] + y[:, None]), 0.1)[..., None]


#: SYSU-MM01: cameras 2 and 3 hang in the same room, 4, 5 and 6 outdoors.
SYSU_CAMERAS = {camera.number: camera for camera in (
    Camera(1, False, 1, True, 20, 1.0, (1.05, 1.0, 0.9), 1.0, 2.0, 0.015, 0.15, 0.12),
    Camera(2, False, 2, True, 70, 0.85, (0.92, 1.0, 1.06), 0.95, 2.6, 0.02, 0.2, 0.15),
    Camera(3, True, 2, True, 60, 1.0, (1, 1, 1), 0.85, 3.2, 0.035, 0.5, 0.15),
    Camera(4, False, 4, False, 10, 1.12, (0.97, 1.0, 1.04), 1.1, 1.8, 0.012, 0.08, 0.12),
    Camera(5, False, 5, False, 150, 0.95, (1.05, 0.98, 0.92), 0.9, 2.8, 0.02, 0.12, 0.15),
    Camera(6, True, 6, False, 30, 1.15, (1, 1, 1), 1.05, 3.8, 0.045, 0.6, 0.12),
)}

#: RegDB: one double camera; ten frames of one walk.
REGDB_CAMERAS = {
    'visible': Camera(1, False, 21, False, 0, 1.0, (1.0, 1.0, 1.0), 1.0, 3.0, 0.015, 0.1, 0.03),
    'thermal': Camera(1, True, 21, False, 0, 1.0, (1.0, 1.0, 1.0), 0.9, 5.0, 0.03, 0.25, 0.03),
}


def _llcm_camera(number: int, infrared: bool) -> Camera:
    # Low light: dark, noisy, and each camera with a cast of its own.
    angle = 2.4 * number
    cast = tuple(float(1 + 0.12 * np.cos(angle + k)) for k in (0, 2.1, 4.2))
    return Camera(number, infrared, 30 + number, number % 3 == 0,
                  (number * 47) % 180, 0.62 + 0.04 * (number % 5) + 0.25 * infrared, cast,
                  0.9 + 0.03 * (number % 4), 2.2 + 0.3 * (number % 4), 0.03 + 0.004 * (number % 3),
                  0.25 + 0.35 * infrared, 0.14)


#: LLCM: nine places, each with a visible and, except place 3, a near-infrared camera.
LLCM_CAMERAS = {(number, infrared): _llcm_camera(number, infrared)
                for number in range(1, 10) for infrared in (False, True)
                if not (infrared and number == 3)}
