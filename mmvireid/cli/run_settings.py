"""What decides the weights of a run, and the record of it in the run's folder."""

import json
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook, IterTimerHook, LoggerHook, RuntimeInfoHook

from mmvireid.checkpoints import finished_checkpoint
from mmvireid.config import SHARED_AMONG_PROCESSES, is_path_key
from mmvireid.registry import HOOKS
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.processes import launched_processes
from mmvireid.utils.records import read_record, read_record_if_complete

#: The record, in the folder of each run.
RECORD = 'run.json'
#: Top-level keys of a config from which the weights follow.
_DECISIVE = ('model', 'data_preprocessor', 'train_dataloader', 'train_cfg', 'optim_wrapper',
             'param_scheduler', 'auto_scale_lr', 'default_hooks', 'custom_hooks', 'randomness',
             'sync_bn', 'load_from')
#: Keys below them that decide where and how fast, not what is computed.
_INDIFFERENT = re.compile(
    r'train_dataloader\.(num_workers|persistent_workers|prefetch_factor|pin_memory)|'
    r'train_cfg\.(val_|dynamic_intervals)|model\.(test_cfg|channels_last)|'
    r'.*\.(cache_dir|made_by)$')
#: Hooks of MMEngine that leave the weights alone; others say so by ``only_watches = True``. A
#: hook that a later version gives to all runs has to: those begun before go on with it.
_MMENGINE_WATCHERS = (CheckpointHook, IterTimerHook, LoggerHook, RuntimeInfoHook)
#: What may be another thing when a run goes on, besides places of files: its length, and how
#: many processes share the work.
_MAY_CHANGE = re.compile(r'train_cfg\.max_(epochs|iters)|processes|.*\.num_workers$')


def settings_of(cfg: Config) -> dict[str, Any]:
    """Name everything in a config from which the weights of its run follow.

    Args:
        cfg: config of a run, as it is about to train.

    Returns:
        Dotted key -> plain value; ``processes`` is their number, and the numbers of a batch
        are those of all processes.
    """
    found = {key: cfg[key] for key in _DECISIVE if cfg.get(key) is not None}
    for kind in ('default_hooks', 'custom_hooks'):
        hooks = found.get(kind, {})
        pairs = hooks.items() if isinstance(hooks, dict) else enumerate(hooks)
        found[kind] = {str(key): hook for key, hook in pairs if hook and not _only_watches(hook)}
    if found.get('load_from'):
        found['load_from'] = str(Path(found['load_from']).absolute())
    flat = _flatten(found)
    flat['processes'] = launched_processes(cfg.get('launcher', 'none'))[1]
    for name in ('batch_size', *(f'sampler.{number}' for number in SHARED_AMONG_PROCESSES)):
        if isinstance(flat.get(f'train_dataloader.{name}'), int):
            flat[f'train_dataloader.{name}'] *= flat['processes']
    return {key: value for key, value in flat.items() if not _INDIFFERENT.match(key)}


def check_settings(cfg: Config) -> None:
    """Refuse to go on with a run that another config has begun.

    MMEngine would take the weights, the seed and the learning rate of the old run and report
    them as the new one's.

    Args:
        cfg: config of a run that is about to be resumed from its own folder.

    Raises:
        ConfigError: names the first setting that differs.
    """
    record = Path(cfg.work_dir) / RECORD
    if not record.is_file():  # made by MMEngine itself, or by an older version
        return
    before, now = read_record(record), settings_of(cfg)
    for key in sorted(before.keys() | now.keys()):
        same = before.get(key) == now.get(key)
        if not (same or _MAY_CHANGE.match(key) or is_path_key(key)):
            raise ConfigError(
                f'"{cfg.work_dir}" holds a run whose {key} is {before.get(key)}, not '
                f'{now.get(key)}: choose another --work-dir for a new run, or go on with the old '
                f'one by its own settings (its checkpoint named after --resume goes on with any).')


def record_settings(cfg: Config, keep_start: bool = False) -> None:
    """Write down what decides the weights of a run, in its folder.

    Args:
        cfg: config of a run that is about to train.
        keep_start: the run goes on; where it once started stays in the record.
    """
    path, settings = Path(cfg.work_dir) / RECORD, settings_of(cfg)
    if keep_start:
        settings.pop('load_from', None)
        before = read_record(path) if path.is_file() else {}
        settings.update({key: before[key] for key in ('load_from', ) if key in before})
    write_atomically(json.dumps(settings, indent=1, sort_keys=True).encode(), path)


def find_same_run(cfg: Config, folder: str) -> str | None:
    """Find the last checkpoint of a finished run that computes the same as a config.

    Args:
        cfg: config of a run.
        folder: where to look, with all folders below it.

    Returns:
        The checkpoint; None if there is no such run. Without a seed none is the same.
    """
    if cfg.randomness.get('seed') is None:
        return None
    wanted = settings_of(cfg)
    for record in sorted(Path(folder).rglob(RECORD)):
        checkpoint = finished_checkpoint(record.parent, cfg)
        if checkpoint is not None and read_record_if_complete(record) == wanted:
            return checkpoint
    return None


def _only_watches(hook: dict) -> bool:
    """Tell whether a hook leaves the weights alone.

    What only watches and reports may be added to a run that has begun, and is not looked at
    where two runs are compared. A hook says so by ``only_watches = True`` in its class.
    """
    kind = hook.get('type')
    found = HOOKS.get(kind) if isinstance(kind, str) else kind
    return getattr(found, 'only_watches', False) or found in _MMENGINE_WATCHERS


def _flatten(value: Any, key: str = '') -> dict[str, Any]:
    """Give nested dicts and lists as one dict of dotted keys and plain values."""
    if not isinstance(value, (dict, list, tuple)):
        plain = value is None or isinstance(value, (bool, int, float, str))
        return {key: value if plain else str(value)}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    flat: dict[str, Any] = {}
    for name, child in pairs:
        flat.update(_flatten(child, f'{key}.{name}' if key else str(name)))
    return flat
