#!/usr/bin/env python
"""Count parameters, and the multiplications of one test image, of a model.

Counted is what a test does: backbone, neck and the descriptors of the head. What a method
does with a whole gallery (CIFT's graph, re-ranking) depends on the gallery and is not.

Examples:
    python tools/analysis_tools/get_flops.py configs/cift/cift_r50_120e_sysu.py
    python tools/analysis_tools/get_flops.py configs/agw/agw_r50_81e_sysu.py --shape 384 192
"""

import argparse
import logging

import torch
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.registry import init_default_scope

from mmvireid.cli import (
    add_config,
    add_config_options,
    one_sentence_errors,
    positive,
    tool_parser,
)
from mmvireid.config import load_config
from mmvireid.registry import MODELS
from mmvireid.structures import Modality
from mmvireid.utils.errors import ConfigError


class Describe(torch.nn.Module):
    """What a model does to test images of one modality.

    Args:
        model: a re-identifier.
        modality: of the images.
    """

    def __init__(self, model: torch.nn.Module, modality: Modality) -> None:
        super().__init__()
        self.model = model
        self.modality = modality

    def forward(self, images: torch.Tensor) -> dict:
        """Compute the descriptors of images of shape ``(N, 3, H, W)``."""
        modality = torch.full((len(images), ), int(self.modality))
        return self.model.describe(images, modality, flip=False)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    parser.add_argument(
        '--shape', type=positive, nargs=2, metavar=('HEIGHT', 'WIDTH'),
        help="size of an image; by default that of the config's test pipeline")
    add_config_options(parser)
    return parser.parse_args()


def image_size(cfg) -> tuple[int, int]:
    """Find the size of a test image in a config."""
    for step in cfg.test_dataloader.dataset.pipeline:
        if step.get('size'):
            return tuple(step['size'])
    raise ConfigError('the test pipeline does not say how large an image is: give --shape.')


def main() -> None:
    """Count and print."""
    args = parse_args()
    with one_sentence_errors():
        cfg = load_config(args.config, args.cfg_options)
        height, width = args.shape or image_size(cfg)
        init_default_scope('mmvireid')
        model = MODELS.build(cfg.model).eval()
        logging.getLogger('mmengine').setLevel(logging.ERROR)
        print(f'{args.config}, one image of {height} x {width}')
        total = parameter_count(model)['']
        parts = {name: parameter_count(part)[''] for name, part in model.named_children()}
        listed = ', '.join(f'{name} {count / 1e6:.2f}' for name, count in parts.items() if count)
        print(f'parameters: {total / 1e6:.2f} M ({listed})')
        for modality in Modality:
            counter = FlopAnalyzer(
                Describe(model, modality), torch.zeros(1, 3, height, width))
            counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            with torch.no_grad():
                print(f'{modality.name.lower()}: {counter.total() / 1e9:.3f} G multiply-adds')


if __name__ == '__main__':
    main()
