"""Checkpoints: read them without executing anything, compare, find, publish."""

from .convert import convert_checkpoint
from .files import (
    POINTER,
    final_checkpoint,
    find_checkpoint,
    finished_checkpoint,
    last_stage_dir,
    stage_dir,
)
from .matching import load_matching_weights
from .publish import publish_checkpoint
from .reading import check_checkpoint, fetch_checkpoint, read_checkpoint, read_for_engine
from .weights import (
    check_weights,
    find_weights,
    first_names,
    load_weights,
    present_names,
    training_only_weights,
)

__all__ = [
    'POINTER', 'check_checkpoint', 'check_weights', 'convert_checkpoint', 'fetch_checkpoint',
    'final_checkpoint', 'find_checkpoint', 'find_weights', 'finished_checkpoint',
    'first_names', 'last_stage_dir', 'load_matching_weights', 'load_weights', 'present_names',
    'publish_checkpoint', 'read_checkpoint', 'read_for_engine', 'stage_dir',
    'training_only_weights'
]
