"""Changes of colour."""

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image
from torchvision.transforms import functional

from mmvireid.registry import TRANSFORMS
from mmvireid.utils.errors import ConfigError, InputError


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue, in random order.

    The same changes as torchvision's transform of this name on an RGB uint8
    image; drawn from NumPy's generator like every random transform here, so one
    seed governs a worker.

    Required and modified key: ``img``, uint8.

    Args:
        brightness: factor is drawn from [1 - b, 1 + b], not below 0.
        contrast: as ``brightness``.
        saturation: as ``brightness``.
        hue: shift is drawn from [-h, h], in turns of the colour circle, h <= 0.5.
    """

    def __init__(self,
                 brightness: float = 0.,
                 contrast: float = 0.,
                 saturation: float = 0.,
                 hue: float = 0.) -> None:
        if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
            raise ConfigError('jitter strengths must not be negative, and hue at most 0.5')
        self.brightness, self.contrast = brightness, contrast
        self.saturation, self.hue = saturation, hue

    @staticmethod
    def _around_one(strength: float) -> tuple[float, float]:
        return max(0., 1 - strength), 1 + strength

    def transform(self, results: dict) -> dict:
        """Jitter the colours of ``results['img']``."""
        if results['img'].dtype != np.uint8:
            raise InputError('ColorJitter works on uint8 images: put it before Normalize')
        changes = (
            (functional.adjust_brightness, self.brightness, self._around_one(self.brightness)),
            (functional.adjust_contrast, self.contrast, self._around_one(self.contrast)),
            (functional.adjust_saturation, self.saturation, self._around_one(self.saturation)),
            (functional.adjust_hue, self.hue, (-self.hue, self.hue)),
        )
        img = Image.fromarray(results['img'])
        for which in np.random.permutation(len(changes)):
            change, strength, bounds = changes[which]
            if strength > 0:
                img = change(img, np.random.uniform(*bounds))
        results['img'] = np.array(img)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(brightness={self.brightness}, '
                f'contrast={self.contrast}, saturation={self.saturation}, hue={self.hue})')


@TRANSFORMS.register_module()
class RandomGrayscale(BaseTransform):
    """Take the colours out of an image with some probability.

    Pillow's luma, copied to all channels, as torchvision's transform of this name does it
    on an RGB image. An infrared image stays as it is.

    Required and modified key: ``img``, uint8.

    Args:
        prob: probability of luma.

    Raises:
        InputError: for an image that is not uint8.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.datasets import RandomGrayscale
        >>> gray = RandomGrayscale(prob=1)
        >>> gray(dict(img=np.array([[[10, 20, 30]]], np.uint8)))['img'].tolist()
        [[[18, 18, 18]]]
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Take the colours out of ``results['img']``, or leave it alone."""
        if results['img'].dtype != np.uint8:
            raise InputError('RandomGrayscale works on uint8 images: put it before Normalize')
        if np.random.rand() < self.prob:
            gray = Image.fromarray(results['img']).convert('L')
            results['img'] = np.array(gray.convert('RGB'))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
