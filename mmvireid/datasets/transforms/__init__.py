"""Transforms on RGB images of shape (height, width, 3), uint8 or float32.

Random numbers come from NumPy's global generator, which MMEngine seeds in each
worker. Parts of mmcv that are colour-blind (``RandomFlip``, ``Normalize`` with
``to_rgb=False``) are used as they are.
"""

from .channels import ChannelAdapGray, ChannelExchange
from .color import ColorJitter, RandomGrayscale
from .erasing import RandomErasing
from .formatting import PackReIDInputs
from .geometric import PadRandomCrop
from .loading import LoadReIDImage
from .wrappers import ByModality, MultiView

__all__ = [
    'ByModality', 'ChannelAdapGray', 'ChannelExchange', 'ColorJitter', 'LoadReIDImage',
    'MultiView', 'PackReIDInputs', 'PadRandomCrop', 'RandomErasing', 'RandomGrayscale'
]
