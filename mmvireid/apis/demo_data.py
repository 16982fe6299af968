"""The synthetic dataset of a demo config, written when it is first needed."""

import json
import os
from pathlib import Path

from mmengine.config import Config

from mmvireid.datasets.synthetic import Difficulty, Request, make_synthetic


def write_demo_data(cfg: Config) -> None:
    """Draw the pictures that a config asks for in ``demo_data``, unless they exist.

    A folder that holds anything else than a begun synthetic dataset is left alone: it
    is someone's own data. With several processes nothing is drawn; the reader then says
    what is missing.

    Args:
        cfg: config of the run. ``demo_data`` has the arguments of
            :class:`mmvireid.datasets.synthetic.Request` but the layout, ``difficulty`` as a
            dict.
    """
    if not cfg.get('demo_data') or cfg.launcher != 'none':
        return
    root = Path(cfg.test_dataloader.dataset.data_root)
    record = root / 'synthetic.json'
    begun = record.is_file() and not json.loads(record.read_text()).get('complete')
    if begun or not root.exists():
        print(f'{root} does not exist yet: drawing synthetic pedestrians, once.', flush=True)
        arguments = dict(
            cfg.demo_data,
            size=tuple(cfg.demo_data.size),
            difficulty=Difficulty(**cfg.demo_data.get('difficulty', {})))
        make_synthetic(Request('sysu', **arguments), root, workers=os.cpu_count() or 1)
