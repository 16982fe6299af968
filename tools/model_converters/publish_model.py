#!/usr/bin/env python
"""Write the weights of a checkpoint to a file that can be given away.

Optimiser and log are left out, config and metrics are inside, and the name ends with the
hash of the content. The file opens with torch.load(FILE, weights_only=True).

Example:
    python tools/model_converters/publish_model.py CONFIG CHECKPOINT --metrics results.json
"""

import argparse

from mmengine.config import DictAction

from mmvireid.cli import check_work_dir, key_value, one_sentence_errors
from mmvireid.inference.inferencer import read_config
from mmvireid.inference.publish import publish_checkpoint


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config that it was trained with, or a model name')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out', metavar='DIR', help='folder to write to; by default that of the checkpoint')
    parser.add_argument(
        '--metrics', metavar='FILE.json', help='numbers that tools/test.py --out wrote')
    parser.add_argument(
        '--cfg-options', nargs='+', type=key_value, action=DictAction, metavar='KEY=VALUE',
        help='changes of the config that it was trained with')
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
