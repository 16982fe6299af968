"""The synthetic dataset of a demo config, written when it is first needed."""

import json
import os
from pathlib import Path

from mmengine.config import Config

from mmvireid.datasets.synthetic import (
    MANIFEST,
    Difficulty,
    Request,
    make_synthetic,
    matches_request,
)


def write_demo_data(cfg: Config) -> None:
    """Draw the pictures that a config asks for in ``demo_data``, unless they exist.

    A folder that holds anything else than a begun synthetic dataset is left alone: it
    is someone's own data. Pictures drawn for other values of ``demo_data`` are used as they
    are, and one line says so: results then differ from those of the documentation. With
    several processes nothing is drawn; the reader then says what is missing.

    Args:
        cfg: config of the run. ``demo_data`` has the arguments of
            :class:`mmvireid.datasets.synthetic.Request` but the layout, ``difficulty`` as a
            dict.
    """
    if not cfg.get('demo_data') or cfg.launcher != 'none':
        return
    root = Path(cfg.test_dataloader.dataset.data_root)
    arguments = dict(
        cfg.demo_data,
        size=tuple(cfg.demo_data.size),
        difficulty=Difficulty(**cfg.demo_data.get('difficulty', {})))
    request = Request('sysu', **arguments)
    record = root / MANIFEST
    begun = record.is_file() and not json.loads(record.read_text(encoding='utf-8')).get('complete')
    if begun or not root.exists():
        print(f'{root} does not exist yet: drawing synthetic pedestrians, once.', flush=True)
        make_synthetic(request, root, workers=os.cpu_count() or 1)
    elif record.is_file() and not matches_request(root, request):
        print(f'{root} holds other synthetic pedestrians than this config describes, perhaps '
              'those of an older version; they are used as they are. Delete the folder to draw '
              'what the config describes.', flush=True)
