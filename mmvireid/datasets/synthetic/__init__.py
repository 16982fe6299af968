"""Synthetic pedestrians for trying and testing; no evidence about real data."""

from .camera import LLCM_CAMERAS, REGDB_CAMERAS, SYSU_CAMERAS, Camera
from .difficulty import Difficulty
from .generate import MANIFEST, Report, make_synthetic, matches_request
from .layouts import LAYOUTS, Request
from .pedestrian import Pedestrian, sample_pedestrian
from .sheet import contact_sheet
from .world import SyntheticWorld

__all__ = [
    'LAYOUTS', 'LLCM_CAMERAS', 'MANIFEST', 'REGDB_CAMERAS', 'SYSU_CAMERAS', 'Camera',
    'Difficulty', 'Pedestrian', 'Report', 'Request', 'SyntheticWorld', 'contact_sheet',
    'make_synthetic', 'matches_request', 'sample_pedestrian'
]
