#!/usr/bin/env python
"""Write the weights of a checkpoint to a file that can be given away.

Optimiser and log are left out, config and metrics are inside, and the name ends with the
hash of the content. The file opens with torch.load(FILE, weights_only=True).

Example:
    python tools/model_converters/publish_model.py CONFIG CHECKPOINT --metrics results.json
"""

import argparse

from mmvireid.checkpoints import publish_checkpoint
from mmvireid.cli import (
    add_checkpoint,
    add_config,
    add_config_options,
    add_out,
    check_work_dir,
    one_sentence_errors,
    shell_path,
    tool_parser,
)
from mmvireid.inference.inferencer import read_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser, 'config that it was trained with, or a model name')
    add_checkpoint(parser)
    add_out(parser, 'folder to write to; by default that of the checkpoint', 'DIR')
    parser.add_argument(
        '--metrics', type=shell_path, metavar='FILE.json',
        help='numbers that tools/test.py --out wrote')
    add_config_options(parser, 'changes of the config that it was trained with')
    return parser.parse_args()


def main() -> None:
    """Publish."""
    args = parse_args()
    with one_sentence_errors():
        cfg, _ = read_config(args.config, args.cfg_options)
        if args.out:
            check_work_dir(args.out)
        path = publish_checkpoint(cfg, args.checkpoint, args.out, args.metrics)
        if not args.metrics:
            print('No metrics are inside: give those of tools/test.py --out with --metrics.')
        print(f'saved: {path} ({path.stat().st_size / 1e6:.1f} MB)')


if __name__ == '__main__':
    main()
