"""Datasets of visible-infrared person re-identification, and how batches are made of them."""

from mmvireid.utils.errors import DatasetError

from .base import CrossModalityDataset, ImageRecord
from .branch_index import BranchIndex
from .image_cache import ImageCache
from .integrity import Finding, check_dataset
from .label_noise import LabelNoise, inject_label_noise
from .list_file import ListFileDataset
from .llcm import LLCM
from .regdb import RegDB
from .samplers import (
    ClusterSampler,
    CoTeachingSampler,
    CrossModalityChunkSampler,
    CrossModalityExhaustiveSampler,
    CrossModalityPKSampler,
    CrossModalityShuffledSampler,
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
    'BranchIndex', 'ByModality', 'ChannelAdapGray', 'ChannelExchange', 'ClusterSampler',
    'CoTeachingSampler', 'ColorJitter', 'CrossModalityChunkSampler', 'CrossModalityDataset',
    'CrossModalityExhaustiveSampler', 'CrossModalityPKSampler', 'CrossModalityShuffledSampler',
    'DatasetError', 'Finding', 'ImageCache', 'ImageRecord', 'LLCM', 'LabelNoise',
    'ListFileDataset', 'LoadReIDImage', 'MultiView', 'PackReIDInputs', 'PadRandomCrop',
    'RandomErasing', 'RandomGrayscale', 'RegDB', 'SYSUMM01', 'check_dataset',
    'inject_label_noise', 'sysu_gallery'
]
