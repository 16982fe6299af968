"""Training and testing of a config that was read."""

import torch
from mmengine.config import Config

from mmvireid.engine import ReIDRunner


def run_training(cfg: Config) -> None:
    """Build the Runner from a config and train.

    Args:
        cfg: what :func:`load_config` gave.
    """
    ReIDRunner.from_cfg(cfg).train()


def run_test(cfg: Config) -> None:
    """Build the Runner from a config and test.

    Without a checkpoint, the network is as training would begin with it: MMEngine itself
    loads pre-trained weights for training only.

    Args:
        cfg: what :func:`load_config` gave.
    """
    runner = ReIDRunner.from_cfg(cfg)
    if not cfg.get('load_from'):
        load_pretrained_parts(runner.model)
    runner.test()


def load_pretrained_parts(model: torch.nn.Module) -> None:
    """Load the pre-trained weights that parts of a model name; leave the rest as it is.

    Args:
        model: model whose parts may have an ``init_cfg`` of type ``Pretrained``.
    """
    for module in model.modules():
        init_cfg = getattr(module, 'init_cfg', None)
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            module.init_weights()
