"""Random erasing."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmvireid.registry import TRANSFORMS
from mmvireid.utils.errors import ConfigError, DatasetError


@TRANSFORMS.register_module()
class RandomErasing(BaseTransform):
    """Fill a random rectangle with a constant (Zhong et al., AAAI 2020).

    In most of the field's recipes the aspect ratio is drawn uniformly from its range, so
    that high rectangles are more frequent than wide ones, and a rectangle that does not fit
    is drawn again up to 100 times. torchvision draws the logarithm uniformly, and 10 times.

    ``fill`` is written as it is, in the space in which the transform runs: after
    ``Normalize`` the published (0.4914, 0.4822, 0.4465) are normalised values;
    on uint8 images the same colour is (125.3, 123.0, 113.9), rounded.

    Required and modified key: ``img``.

    Args:
        prob: probability of erasing.
        area_range: least and greatest area as a share of the image.
        aspect_range: least and greatest ratio of height to width.
        fill: values of the three channels.
        aspect: 'uniform' or 'log_uniform', how the aspect ratio is drawn.
        attempts: draws until a rectangle fits; after them the image stays as it is.

    Raises:
        DatasetError: when a fill meant for 0..1 meets a uint8 image.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.datasets import RandomErasing
        >>> erase = RandomErasing(prob=1, area_range=(0.1, 0.2), fill=(125.3, 123.0, 113.9))
        >>> image = erase(dict(img=np.zeros((16, 8, 3), np.uint8)))['img']
        >>> sorted(set(image[..., 0].ravel().tolist()))
        [0, 125]
    """

    def __init__(self,
                 prob: float = 0.5,
                 area_range: tuple[float, float] = (0.02, 0.4),
                 aspect_range: tuple[float, float] = (0.3, 1 / 0.3),
                 fill: Sequence[float] = (0.4914, 0.4822, 0.4465),
                 aspect: str = 'uniform',
                 attempts: int = 100) -> None:
        if not 0 < area_range[0] <= area_range[1] <= 1:
            raise ConfigError(f'area_range must lie in (0, 1] and ascend, got {area_range}')
        if not 0 < aspect_range[0] <= aspect_range[1]:
            raise ConfigError(f'aspect_range must be positive and ascend, got {aspect_range}')
        if aspect not in ('uniform', 'log_uniform'):
            raise ConfigError(f"aspect must be 'uniform' or 'log_uniform', got {aspect!r}")
        self.aspect = aspect
        self.attempts = attempts
        self.prob = prob
        self.area_range = tuple(area_range)
        self.aspect_range = tuple(aspect_range)
        self.fill = np.asarray(fill, dtype=np.float32)
        if self.fill.shape != (3, ):
            raise ConfigError(f'fill needs three values, got {fill}')

    def transform(self, results: dict) -> dict:
        """Erase a rectangle of ``results['img']``, or leave it alone."""
        img = results['img']
        integral = img.dtype == np.uint8
        if integral and self.fill.any() and self.fill.max() < 1:
            raise DatasetError(
                f'RandomErasing would fill uint8 pixels with {self.fill.tolist()}, that is '
                'black: write fill in 0..255 or put RandomErasing after Normalize')
        if np.random.rand() >= self.prob:
            return results
        height, width = img.shape[:2]
        for _ in range(self.attempts):
            area = np.random.uniform(*self.area_range) * height * width
            aspect = self._draw_aspect()
            h, w = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
            if h < height and w < width:
                top = np.random.randint(height - h + 1)
                left = np.random.randint(width - w + 1)
                img = img.copy()
                img[top:top + h, left:left + w] = np.rint(self.fill) if integral else self.fill
                results['img'] = img
                break
        return results

    def _draw_aspect(self) -> float:
        if self.aspect == 'uniform':
            return np.random.uniform(*self.aspect_range)
        return float(np.exp(np.random.uniform(*np.log(self.aspect_range))))

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(prob={self.prob}, area_range={self.area_range}, '
                f'aspect_range={self.aspect_range}, fill={self.fill.tolist()}, '
                f'aspect={self.aspect!r}, attempts={self.attempts})')
