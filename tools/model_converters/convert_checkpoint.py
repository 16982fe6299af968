#!/usr/bin/env python
"""Write a new checkpoint with what is weights, numbers and text in one of other code.

mmvireid executes nothing that a file holds, so it refuses checkpoints with objects of other
programs in them. This tool loads such a file WITHOUT PROTECTION: whatever is hidden in it is
executed with your rights. Use it for files of people you trust, best in a container.

Example:
    python tools/model_converters/convert_checkpoint.py OLD.pth --out NEW.pth --trust
"""

import argparse

from mmvireid.checkpoints import convert_checkpoint, find_weights, read_checkpoint
from mmvireid.cli import (
    add_checkpoint,
    add_out,
    check_out_file,
    one_sentence_errors,
    tool_parser,
)
from mmvireid.utils.errors import CheckpointError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_checkpoint(parser, 'file of another program')
    add_out(parser, 'file to write', 'NEW.pth', required=True)
    parser.add_argument(
        '--trust', action='store_true',
        help='load the file without protection: you trust whoever made it')
    return parser.parse_args()


def main() -> None:
    """Convert."""
    args = parse_args()
    with one_sentence_errors():
        if not args.trust:
            raise CheckpointError(
                f'"{args.checkpoint}" would be loaded without protection, and whatever is hidden '
                'in it would be executed: give --trust if you trust whoever made it.')
        check_out_file(args.out)
        left_out = convert_checkpoint(args.checkpoint, args.out)
        if left_out:
            print(f'left out: {", ".join(left_out)}')
        weights = find_weights(read_checkpoint(args.out), args.out)
        print(f'saved: {args.out}, {len(weights)} tensors')


if __name__ == '__main__':
    main()
