#!/usr/bin/env python
"""Export a model to ONNX and compare it with PyTorch.

One file serves both modalities: a second input, modality, says which each image is of,
where the network has modules for each. --modality visible or infrared writes a file for
one of them, without that input and without the other's modules.

Examples:
    python tools/deployment/export_onnx.py CONFIG CHECKPOINT --out model.onnx
    python tools/deployment/export_onnx.py CONFIG CHECKPOINT --out day.onnx --modality visible
"""

import argparse

from mmvireid.cli import (
    add_checkpoint,
    add_config,
    add_config_options,
    add_out,
    one_sentence_errors,
    tool_parser,
)
from mmvireid.cli.inference import check_output
from mmvireid.inference.inferencer import read_config
from mmvireid.inference.onnx_export import export_onnx


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser, 'config file, or the name of a model in a metafile')
    add_checkpoint(parser)
    add_out(parser, 'file to write', 'FILE.onnx', required=True)
    parser.add_argument('--modality', choices=('both', 'visible', 'infrared'), default='both')
    parser.add_argument(
        '--tolerance', type=float, default=1e-3,
        help='largest difference from PyTorch in any element of a descriptor')
    add_config_options(parser, 'change the config, for example model.test_cfg.flip=True')
    return parser.parse_args()


def main() -> None:
    """Export."""
    args = parse_args()
    with one_sentence_errors():
        check_output(args.out, ('.onnx', ))
        cfg, _ = read_config(args.config, args.cfg_options)
        difference = export_onnx(
            cfg, args.checkpoint, args.out, modality=args.modality, tolerance=args.tolerance)
        for name, value in difference.items():
            print(f'{name}: largest difference from PyTorch {value:.2e}')
        print(f'saved: {args.out}')


if __name__ == '__main__':
    main()
