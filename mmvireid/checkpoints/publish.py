"""Make a checkpoint fit to be given away."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically
from mmvireid.version import __version__

from .reading import read_checkpoint
from .weights import check_weights, find_weights, present_names

PathLike = str | os.PathLike


def publish_checkpoint(cfg: Config,
                       checkpoint: PathLike,
                       out: PathLike | None = None,
                       metrics: PathLike | None = None) -> Path:
    """Write the weights of a checkpoint with what a stranger needs to know.

    Optimiser, schedule and log are left out. What stays is tensors, text and numbers, so
    the file opens with ``torch.load(path, weights_only=True)``, which executes nothing:
    ``state_dict``, and in ``meta`` the whole ``config`` as text, its ``config_name``,
    ``epoch`` and ``iter``, ``dataset_meta`` (which trial it was trained on), ``metrics``
    (with what each ranking uses besides the two images it compares) and
    ``mmvireid_version``. The same checkpoint gives the same bytes.

    Args:
        cfg: config that it was trained with.
        checkpoint: file of a training.
        out: folder to write to; None for that of the checkpoint.
        metrics: JSON file of ``tools/test.py --out``.

    Returns:
        The file. Its name is that of the config and ends with the first eight digits of
        the file's SHA-256, as ``torch.hub.load_state_dict_from_url(..., check_hash=True)``
        checks it.

    Raises:
        CheckpointError: if the checkpoint is missing, broken, or of another model.
        ConfigError: if the metrics cannot be read.
    """
    content = read_checkpoint(checkpoint)
    model = MODELS.build(cfg.model)
    weights = present_names(find_weights(content, checkpoint), model)
    check_weights(model, weights, str(checkpoint), needed='all')
    trained = content.get('meta') or {}
    name = Path(cfg.filename).stem if cfg.filename else Path(checkpoint).stem
    meta = dict(
        config=cfg.pretty_text,
        config_name=name,
        epoch=trained.get('epoch'),
        iter=trained.get('iter'),
        dataset_meta=_plain(trained.get('dataset_meta') or {}),
        metrics=_read_metrics(metrics),
        mmvireid_version=__version__)
    buffer = io.BytesIO()
    torch.save(dict(state_dict={k: v.contiguous() for k, v in weights.items()}, meta=meta), buffer)
    written = buffer.getvalue()
    folder = Path(checkpoint).parent if out is None else Path(out)
    target = folder / f'{name}-{hashlib.sha256(written).hexdigest()[:8]}.pth'
    write_atomically(written, target)
    return target


def _read_metrics(path: PathLike | None) -> list:
    """Read the numbers of a test; without a file there are none."""
    if path is None:
        return []
    try:
        metrics = json.loads(Path(path).read_text(encoding='utf-8'))
        return [{
            **{key: entry[key] for key in ('dataset', 'setting', 'ranking', 'summary')},
            # Earlier versions wrote numbers without them.
            **{key: entry[key] for key in ('uses', 'transductive') if key in entry}
        } for entry in metrics]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f'"{path}" holds no numbers of tools/test.py --out ({type(error).__name__}).'
        ) from error


def _plain(value: Any) -> Any:
    """Turn annotations into text and numbers, as a file without code can hold them."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
