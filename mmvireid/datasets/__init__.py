"""Datasets of visible-infrared person re-identification, and how batches are made of them."""

from mmvireid.utils.errors import DatasetError

from .base import CrossModalityDataset, ImageRecord
from .branch_index import BranchIndex
from .image_cache import ImageCache
from .integrity import Finding, check_dataset
from .list_file import ListFileDataset
from .llcm import LLCM
from .regdb import RegDB
from .samplers import (
    ClusterSampler,
    CrossModalityChunkSampler,
    CrossModalityExhaustiveSampler,
    CrossModalityPKSampler,
)
from .sysu_mm01 import SYSUMM01, sysu_gallery
from .transforms import (
    ByModality,
    ChannelAdapGray,
    ChannelExchange,
    ColorJitter,
    LoadReIDImage,
    MultiView,
    PackReIDInputs,
    PadRandomCrop,
    RandomErasing,
    RandomGrayscale,
)

__all__ = [
    'LLCM', 'SYSUMM01', 'BranchIndex', 'ByModality', 'ChannelAdapGray', 'ChannelExchange',
    'ClusterSampler', 'ColorJitter', 'CrossModalityChunkSampler', 'CrossModalityDataset',
    'CrossModalityExhaustiveSampler', 'CrossModalityPKSampler', 'DatasetError', 'Finding',
    'ImageCache', 'ImageRecord', 'ListFileDataset', 'LoadReIDImage', 'MultiView',
    'PackReIDInputs', 'PadRandomCrop', 'RandomErasing', 'RandomGrayscale', 'RegDB',
    'check_dataset', 'sysu_gallery'
]
