#!/usr/bin/env python
"""Print a config as it is used, with everything that it inherits; of a chain its last stage.

Examples:
    python tools/misc/print_config.py configs/cift/cift_r50_120e_sysu.py
    python tools/misc/print_config.py configs/cift/cift_r50_120e_sysu.py --key optim_wrapper \
        --cfg-options optim_wrapper.optimizer.lr=0.05
"""

import argparse

from mmengine.config import Config

from mmvireid.cli import (
    add_config,
    add_config_options,
    one_sentence_errors,
    shell_path,
    tool_parser,
)
from mmvireid.config import load_config
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    parser.add_argument('--key', help='print only this part, for example model.head')
    parser.add_argument(
        '--save-path', type=shell_path, metavar='FILE.py', help='write the config here too')
    add_config_options(parser)
    return parser.parse_args()


def find_part(cfg: Config, key: str) -> object:
    """Find a part of a config by its dotted key; elements of lists by their number."""
    part: object = cfg
    for name in key.split('.'):
        try:
            part = part[int(name)] if isinstance(part, (list, tuple)) else part[name]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ConfigError(f'the config has no "{key}": there is no "{name}".') from error
    return part


def main() -> None:
    """Print."""
    args = parse_args()
    with one_sentence_errors():
        cfg = load_config(args.config, args.cfg_options)
        shown = cfg
        if args.key:
            shown = Config({args.key.split('.')[-1]: find_part(cfg, args.key)})
        print(shown.pretty_text)
        if args.save_path:
            write_atomically(shown.pretty_text.encode(), args.save_path)


if __name__ == '__main__':
    main()
