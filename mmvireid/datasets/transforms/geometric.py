"""Geometric transforms."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmvireid.registry import TRANSFORMS
from mmvireid.utils.errors import ConfigError


@TRANSFORMS.register_module()
class PadRandomCrop(BaseTransform):
    """Pad all sides with a constant and crop the original size at random.

    The image moves by up to ``padding`` pixels in each direction, which imitates
    a detector's loose boxes.

    Required and modified key: ``img``.

    Args:
        padding: pixels added to each side.
        fill: value of the padding, in the space in which the transform runs.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.datasets import PadRandomCrop
        >>> shift = PadRandomCrop(padding=2)
        >>> shift(dict(img=np.ones((8, 4, 3), np.uint8)))['img'].shape
        (8, 4, 3)
    """

    def __init__(self, padding: int = 10, fill: float = 0) -> None:
        if padding < 0:
            raise ConfigError(f'padding must not be negative, got {padding}')
        self.padding = padding
        self.fill = fill

    def transform(self, results: dict) -> dict:
        """Shift ``results['img']`` by a random offset."""
        img, pad = results['img'], self.padding
        height, width = img.shape[:2]
        top, left = np.random.randint(2 * pad + 1, size=2)
        padded = np.full(
            (height + 2 * pad, width + 2 * pad, *img.shape[2:]), self.fill, dtype=img.dtype)
        padded[pad:pad + height, pad:pad + width] = img
        results['img'] = padded[top:top + height, left:left + width]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(padding={self.padding}, fill={self.fill})'
