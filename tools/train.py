#!/usr/bin/env python
"""Train a model.

Examples:
    python tools/train.py configs/cift/cift_r18_demo.py
    python tools/train.py configs/cift/cift_r50_120e_sysu.py --amp
    python tools/train.py configs/cift/cift_r50_120e_sysu.py --resume
"""

import argparse
from typing import Optional

import torch

from mmvireid.checkpoints import check_checkpoint, find_checkpoint, remove_unfinished
from mmvireid.cli import (
    add_config,
    add_run_arguments,
    check_work_dir,
    one_sentence_errors,
    run_training,
    shell_path,
    tool_parser,
    write_demo_data,
)
from mmvireid.config import load_config
from mmvireid.utils.errors import ConfigError

#: Optimiser wrapper -> the one that trains with mixed precision.
MIXED_PRECISION = {
    'OptimWrapper': 'AmpOptimWrapper',
    'SummingOptimWrapper': 'AmpSummingOptimWrapper',
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    parser.add_argument(
        '--resume',
        type=shell_path,
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue a run: from the newest checkpoint of its work directory, or from a file')
    parser.add_argument('--amp', action='store_true', help='train with mixed precision (GPU)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the number of images in a step over all GPUs')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate on the way')
    add_run_arguments(parser)
    return parser.parse_args()


def use_mixed_precision(wrapper: Optional[dict]) -> None:
    """Replace an optimiser wrapper of a config by its twin for mixed precision."""
    kind = (wrapper or {}).get('type')
    if kind is None or kind in MIXED_PRECISION.values():
        return
    if kind not in MIXED_PRECISION:
        raise ConfigError(
            f'--amp does not know the optimizer wrapper {kind}; set optim_wrapper in the config '
            'instead.')
    wrapper['type'] = MIXED_PRECISION[kind]


def apply_options(cfg, args: argparse.Namespace) -> None:
    """Turn options of the command line into config entries."""
    if args.amp:
        if not torch.cuda.is_available():
            raise ConfigError('--amp needs a GPU; train without it on this machine.')
        stages = cfg.train_cfg.get('stages', [])
        for wrapper in (cfg.optim_wrapper, *(stage.get('optim_wrapper') for stage in stages)):
            use_mixed_precision(wrapper)
        cfg.optim_wrapper.setdefault('type', 'AmpOptimWrapper')
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if cfg.get('auto_scale_lr', {}).get('base_batch_size') is None:
            raise ConfigError(
                '--auto-scale-lr needs auto_scale_lr.base_batch_size in the config: the number '
                'of images for which its learning rate was chosen.')
        cfg.auto_scale_lr.enable = True
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.default_hooks.pop('last_and_best', None)
    if args.resume == 'auto':
        args.resume = find_checkpoint(cfg.work_dir)
        if args.resume is None:
            print(f'{cfg.work_dir} holds no checkpoint yet: training starts at the beginning.')
    if args.resume:
        cfg.resume, cfg.load_from = True, args.resume
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from)


def main() -> None:
    """Train."""
    args = parse_args()
    with one_sentence_errors('Continue with the same command and --resume.'):
        cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
        check_work_dir(cfg.work_dir)
        remove_unfinished(cfg.work_dir)
        apply_options(cfg, args)
        write_demo_data(cfg)
        run_training(cfg)


if __name__ == '__main__':
    main()
