"""Operations on colour channels (Ye et al., ICCV 2021).

The published recipes run them after normalising, where copying a channel means
more than on raw pixels: the three channels of an infrared image are equal before
normalising, so afterwards the copy is an affine change of brightness, one per
channel. Put them before ``Normalize`` in the pipeline for the plain meaning.
"""

import numpy as np
from mmcv.transforms import BaseTransform

from mmvireid.registry import TRANSFORMS

#: Weights of red, green and blue in luma (ITU-R BT.601), as the published code has them.
LUMA = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)


def repeat_channel(img: np.ndarray, channel: int) -> np.ndarray:
    """Copy one channel to all three.

    Args:
        img: shape ``(H, W, 3)``.
        channel: 0, 1 or 2.

    Returns:
        A new array of the same shape and type.
    """
    return np.repeat(img[..., channel:channel + 1], 3, axis=2)


def luma_gray(img: np.ndarray) -> np.ndarray:
    """Replace an image by its luma, in the space in which it is.

    Args:
        img: shape ``(H, W, 3)`` RGB; uint8 is rounded to the nearest value.

    Returns:
        A new array of the same shape and type, three equal channels.
    """
    gray = (img.astype(np.float32, copy=False) @ LUMA)[..., None]
    if img.dtype == np.uint8:
        gray = np.rint(gray).astype(np.uint8)
    return np.repeat(gray, 3, axis=2)


@TRANSFORMS.register_module()
class ChannelExchange(BaseTransform):
    """Copy one of the three channels, drawn uniformly, to all of them.

    CAJ's channel exchange: the image loses its colour in one of three ways, and a
    network can no longer rely on it.

    Required and modified key: ``img``.

    Args:
        gray: whether luma is a fourth, equally likely outcome.
    """

    def __init__(self, gray: bool = False) -> None:
        self.gray = gray

    def transform(self, results: dict) -> dict:
        """Exchange the channels of ``results['img']``."""
        outcome = np.random.randint(4 if self.gray else 3)
        img = results['img']
        results['img'] = luma_gray(img) if outcome == 3 else repeat_channel(img, outcome)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(gray={self.gray})'


@TRANSFORMS.register_module()
class ChannelAdapGray(BaseTransform):
    """Vary an infrared image by one of four equally likely outcomes.

    Copy channel 0, 1 or 2 to all, or, with probability ``prob`` in the fourth,
    take the luma, else leave the image alone.

    Required and modified key: ``img``.

    Args:
        prob: probability of luma within the fourth outcome.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Vary the channels of ``results['img']``."""
        outcome = np.random.randint(4)
        if outcome < 3:
            results['img'] = repeat_channel(results['img'], outcome)
        elif np.random.rand() < self.prob:
            results['img'] = luma_gray(results['img'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
