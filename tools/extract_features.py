#!/usr/bin/env python
"""Compute the descriptors of images and write them to a file.

Examples:
    python tools/extract_features.py CONFIG CHECKPOINT data/own/test.csv --out features.npz
    python tools/extract_features.py CONFIG CHECKPOINT day/ --modality visible --out day.csv
"""

import argparse

from mmvireid.cli import add_out, one_sentence_errors, shell_path, tool_parser
from mmvireid.cli.inference import (
    add_inference_arguments,
    build_inferencer,
    check_modality,
    check_output,
    write_descriptors,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_inference_arguments(parser)
    parser.add_argument(
        'input', type=shell_path,
        help='an image, a folder, or a list file (see docs/en/datasets.md)')
    parser.add_argument(
        '--modality', help='visible or infrared, where the input is not a list file')
    add_out(parser, '.npz or .json for all descriptors, .csv for one', required=True)
    parser.add_argument('--descriptor', default='base', help='which one a .csv gets')
    return parser.parse_args()


def main() -> None:
    """Extract."""
    args = parse_args()
    with one_sentence_errors():
        check_output(args.out, ('.npz', '.json', '.csv'))
        check_modality(args.input, args.modality, '--modality')
        inferencer = build_inferencer(args)
        wanted = [args.descriptor] if args.out.lower().endswith('.csv') else None
        images = inferencer.embed(
            args.input, args.modality, args.batch_size, descriptors=wanted,
            num_workers=args.num_workers, progress=True)
        write_descriptors(images, args.out, args.descriptor)
        shapes = ', '.join(
            f'{name} {tuple(rows.shape)}' for name, rows in images.descriptors.items())
        print(f'{len(images)} images: {shapes}\nsaved: {args.out}')


if __name__ == '__main__':
    main()
