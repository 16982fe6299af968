#!/usr/bin/env python
"""Train a model.

Examples:
    python tools/train.py configs/cift/cift_r18_demo.py
    python tools/train.py configs/cift/cift_r50_120e_sysu.py --amp
    python tools/train.py configs/cift/cift_r50_120e_sysu.py --resume
    python tools/train.py configs/bmil/bmil_r50-agw_2x50e_sysu.py    # all its stages
    python tools/train.py configs/bmil/bmil_r50-agw_2x50e_sysu_m4.py --reuse-stages work_dirs
"""

import argparse

import torch

from mmvireid.cli import (
    add_config,
    add_run_arguments,
    one_sentence_errors,
    shell_path,
    tool_parser,
    train_stages,
    write_demo_data,
)
from mmvireid.config import load_stages
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
        help='continue a run, or a chain of stages in whichever stage it was: from the newest '
        'checkpoint of its work directory, or from a file')
    parser.add_argument(
        '--reuse-stages',
        type=shell_path,
        metavar='DIR',
        help='train no stage again that was trained in or below this folder, by another chain or '
        'by itself, with all the same settings')
    parser.add_argument('--amp', action='store_true', help='train with mixed precision (GPU)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the number of images in a step over all GPUs')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate on the way')
    add_run_arguments(parser)
    return parser.parse_args()


def use_mixed_precision(wrapper: dict | None) -> None:
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
        use_mixed_precision(cfg.optim_wrapper)
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


def main() -> None:
    """Train."""
    args = parse_args()
    with one_sentence_errors('Continue with the same command and --resume.'):
        stages = load_stages(args.config, args.cfg_options, args.work_dir, args.launcher)
        for cfg in stages:
            apply_options(cfg, args)
        write_demo_data(stages[-1])
        train_stages(stages, args.resume, args.reuse_stages)


if __name__ == '__main__':
    main()
