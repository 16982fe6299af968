"""From a file to an array."""

import io
import os
from typing import Optional, Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, UnidentifiedImageError

from mmvireid.datasets.image_cache import ImageCache
from mmvireid.registry import TRANSFORMS
from mmvireid.utils.errors import DatasetError

_FILTERS = {
    'lanczos': Image.Resampling.LANCZOS,
    'bicubic': Image.Resampling.BICUBIC,
    'bilinear': Image.Resampling.BILINEAR,
}


class _TooDeep(Exception):
    """Say that the values of an image do not fit into 8 bits."""


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

    Raises:
        DatasetError: if a file is missing, or is no image, or is cut short, or has values
            of more than 8 bits, as raw thermal footage has.
    """

    def __init__(self,
                 size: Tuple[int, int] = (288, 144),
                 interpolation: str = 'lanczos',
                 cache_dir: Optional[str] = None) -> None:
        if interpolation not in _FILTERS:
            raise ValueError(
                f'interpolation must be one of {", ".join(_FILTERS)}, got "{interpolation}"')
        self.size = (int(size[0]), int(size[1]))
        self.interpolation = interpolation
        self.cache_dir = cache_dir
        self.cache = None
        if cache_dir is not None:
            self.cache = ImageCache(cache_dir, self.size, recipe=interpolation)

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
        try:
            if self.cache is not None:
                return self.cache.get(path, self._decode)
            with open(path, 'rb') as file:
                return self._decode(file.read())
        except (FileNotFoundError, IsADirectoryError):
            raise DatasetError(
                f'the image "{path}" does not exist: check data_root and the index file, or '
                'copy the image from the original dataset') from None
        except PermissionError:
            raise DatasetError(
                f'the image "{path}" may not be read: correct its access rights') from None
        except _TooDeep:
            raise DatasetError(
                f'the image "{path}" has values of more than 8 bits: convert all such images to '
                '8 bits, with one and the same range of values for all') from None
        except UnidentifiedImageError:
            raise DatasetError(
                f'"{path}" is not an image file: copy it again from the original dataset or '
                'remove it') from None
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            # Pillow raises SyntaxError for a broken PNG.
            raise DatasetError(
                f'the image "{path}" cannot be decoded ({error}): copy it again from the '
                'original dataset or remove it') from error

    def _decode(self, content: bytes) -> np.ndarray:
        with Image.open(io.BytesIO(content)) as img:
            if img.mode[0] in 'IF':
                # Pillow would cut them at 255: a 16-bit thermal image becomes white.
                raise _TooDeep
            return self._resize(img.convert('RGB'))

    def _resize(self, rgb: Image.Image) -> np.ndarray:
        height, width = self.size
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), _FILTERS[self.interpolation])
        return np.array(rgb)

    def __repr__(self) -> str:
        return (f"{type(self).__name__}(size={self.size}, interpolation='{self.interpolation}', "
                f'cache_dir={self.cache_dir!r})')
