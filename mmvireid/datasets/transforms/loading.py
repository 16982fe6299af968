"""From a file to an array."""

import os

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from mmvireid.datasets.image_cache import ImageCache
from mmvireid.registry import TRANSFORMS
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.pictures import decode_picture, picture_errors

_FILTERS = {
    'lanczos': Image.Resampling.LANCZOS,
    'bicubic': Image.Resampling.BICUBIC,
    'bilinear': Image.Resampling.BILINEAR,
}


@TRANSFORMS.register_module()
class LoadReIDImage(BaseTransform):
    """Decode an image with Pillow as RGB and resize it.

    Pillow, not OpenCV: its filters widen when they shrink an image, and the
    published features come from them. Supervised recipes use Lanczos, BMIL and
    the other unsupervised ones bicubic. Single-channel infrared images become
    three equal channels.

    Required key: ``img_path``, or ``img``, an image that is in memory already (uint8 RGB,
    any size). Added keys: ``img`` (uint8, shape ``(H, W, 3)``) and ``img_shape``.

    Args:
        size: (height, width) of the result, for example (288, 144).
        interpolation: 'lanczos', 'bicubic' or 'bilinear'.
        cache_dir: folder of an :class:`mmvireid.datasets.ImageCache`, or None.
        exif_orientation: whether a picture of a camera that was held sideways is turned
            upright, as its EXIF data say; False takes the pixels as they are stored.

    Raises:
        DatasetError: if a file is missing, or is no image, or is cut short, or has values
            of more than 8 bits, as raw thermal footage has.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.datasets import LoadReIDImage
        >>> load = LoadReIDImage(size=(288, 144), interpolation='bicubic')
        >>> load({'img': np.zeros((100, 40, 3), np.uint8)})['img'].shape
        (288, 144, 3)
    """

    def __init__(self,
                 size: tuple[int, int] = (288, 144),
                 interpolation: str = 'lanczos',
                 cache_dir: str | None = None,
                 exif_orientation: bool = True) -> None:
        if interpolation not in _FILTERS:
            raise ConfigError(
                f'interpolation must be one of {", ".join(_FILTERS)}, got "{interpolation}"')
        self.size = (int(size[0]), int(size[1]))
        self.interpolation = interpolation
        self.cache_dir = cache_dir
        self.exif_orientation = exif_orientation
        self.cache = None
        if cache_dir is not None:
            recipe = f'{interpolation}, exif_orientation={exif_orientation}'
            self.cache = ImageCache(cache_dir, self.size, recipe)

    def transform(self, results: dict) -> dict:
        """Load the image of ``results['img_path']``, or resize ``results['img']``."""
        if results.get('img') is None:
            results['img'] = self.load(results['img_path'])
        else:
            results['img'] = self._resize(Image.fromarray(results['img']))
        results['img_shape'] = self.size
        return results

    def load(self, path: str) -> np.ndarray:
        """Load one file.

        Args:
            path: an image file.

        Returns:
            uint8 RGB array of shape ``(height, width, 3)``, writable.

        Raises:
            DatasetError: if the file is missing, or is no image, or is cut short, or has
                values of more than 8 bits.
        """
        path = os.fspath(path)
        with picture_errors(path):
            if self.cache is not None:
                return self.cache.get(path, self._decode)
            with open(path, 'rb') as file:
                return self._decode(file.read())

    def _decode(self, content: bytes) -> np.ndarray:
        return self._resize(decode_picture(content, exif_orientation=self.exif_orientation))

    def _resize(self, rgb: Image.Image) -> np.ndarray:
        height, width = self.size
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), _FILTERS[self.interpolation])
        return np.array(rgb)

    def __repr__(self) -> str:
        return (f"{type(self).__name__}(size={self.size}, interpolation='{self.interpolation}', "
                f'cache_dir={self.cache_dir!r}, exif_orientation={self.exif_orientation})')
