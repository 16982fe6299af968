#!/usr/bin/env python
"""Show images as the network gets them: after all transforms, in every view.

One row an image: the file itself, then what the pipeline makes of it, several times where
something is drawn at random. Half of the images are visible, half infrared.

Examples:
    python tools/visualization/browse_dataset.py configs/cift/cift_r50_120e_sysu.py
    python tools/visualization/browse_dataset.py configs/caj/caj_r50_100e_sysu.py --number 12 \
        --draws 4 --out work_dirs/caj_views.jpg
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import init_default_scope
from PIL import Image, ImageDraw, ImageFont

from mmvireid.cli import (
    add_config,
    add_config_options,
    add_out,
    one_sentence_errors,
    positive,
    tool_parser,
    write_demo_data,
)
from mmvireid.config import load_config
from mmvireid.datasets.base import CrossModalityDataset
from mmvireid.registry import DATASETS
from mmvireid.structures import Modality
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.pictures import load_picture
from mmvireid.visualization import save_picture

GAP, TEXT, TOP = 8, 18, 56


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    parser.add_argument('--split', choices=('train', 'test'), default='train', help='whose images')
    parser.add_argument('--number', type=positive, default=8, help='images to show')
    parser.add_argument('--draws', type=positive, default=3, help='times that each is transformed')
    parser.add_argument('--seed', type=int, default=0, help='decides images and transforms')
    parser.add_argument('--height', type=positive, default=160, help='of an image on the sheet')
    add_out(parser, 'the picture; by default views.png in the work directory')
    add_config_options(parser)
    return parser.parse_args()


def choose(dataset: CrossModalityDataset, number: int, seed: int) -> list[int]:
    """Choose images at random, half of them of each modality that there is."""
    modality = dataset.modalities
    generator = np.random.default_rng(seed)
    chosen = []
    for value in np.unique(modality):
        rows = generator.permutation(np.flatnonzero(modality == value))
        chosen += rows[:-(-number // len(np.unique(modality)))].tolist()
    return chosen[:number]


def to_picture(view: torch.Tensor, scale: tuple[torch.Tensor, torch.Tensor],
               size: tuple[int, int]) -> Image.Image:
    """Turn what the network gets back into colours.

    Args:
        view: shape ``(3, H, W)``; uint8, or float after normalisation.
        scale: mean and standard deviation that float images were normalised by.
        size: width and height on the sheet.
    """
    pixels = view.float()
    if view.is_floating_point():
        mean, std = scale
        pixels = pixels * std + mean
    pixels = pixels.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def normalisation(pipeline: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Find how a pipeline normalises images: the first step with a mean and a deviation."""
    found = find_step(pipeline) or dict(mean=(0., 0., 0.), std=(1., 1., 1.))
    return tuple(torch.tensor(found[key]).view(-1, 1, 1) for key in ('mean', 'std'))


def find_step(node: object) -> dict | None:
    """Look for a normalising step, also within steps that are made of steps."""
    if isinstance(node, dict):
        if 'mean' in node and 'std' in node:
            return node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        return next(filter(None, map(find_step, node)), None)
    return None


def draw(args: argparse.Namespace, dataset: CrossModalityDataset,
         scale: tuple[torch.Tensor, torch.Tensor]) -> Image.Image:
    """Draw the sheet: a row an image, its file first."""
    size = (args.height // 2, args.height)
    rows, views = [], {}
    for index in choose(dataset, args.number, args.seed):
        made = [dataset[index] for _ in range(args.draws)]
        file = load_picture(made[0]['data_samples'].img_path)
        pictures = [file.resize(size, Image.Resampling.BICUBIC)]
        pictures += [to_picture(view, scale, size) for one in made for view in one['inputs']]
        sample = made[0]['data_samples']
        rows.append((sample, pictures))
        views[Modality(sample.modality).name.lower()] = len(made[0]['inputs'])
    columns = max(len(pictures) for _, pictures in rows)
    height, width = size[1] + TEXT + GAP, size[0] + GAP
    each = ', '.join(f'{name} images in {num} view{"s" * (num > 1)}'
                     for name, num in sorted(views.items(), reverse=True))
    note = f'left: the file; then what the network gets, drawn {args.draws} times; {each}'
    small = ImageFont.load_default(size=12)
    sheet = Image.new('RGB', (max(columns * width + 4 * GAP, 2 * GAP + int(small.getlength(note))),
                              TOP + len(rows) * height), 'white')
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, GAP), f'{Path(args.config).stem}, {args.split}', fill='#202020',
             font=ImageFont.load_default(size=17))
    pen.text((GAP, GAP + 24), note, fill='#606060', font=small)
    for row, (sample, pictures) in enumerate(rows):
        y = TOP + row * height
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (GAP + column * width + (2 * GAP if column else 0), y))
        pen.text((GAP, y + size[1] + 2), f'identity {sample.identity}, camera {sample.camera}, '
                 f'{Modality(sample.modality).name.lower()}', fill='#606060',
                 font=ImageFont.load_default(size=12))
    return sheet


def main() -> None:
    """Draw the sheet."""
    args = parse_args()
    with one_sentence_errors():
        cfg = load_config(args.config, args.cfg_options)
        write_demo_data(cfg)
        init_default_scope('mmvireid')
        loader = cfg[f'{args.split}_dataloader']
        if not loader:
            raise ConfigError(f'{args.config} has no {args.split} data.')
        dataset = DATASETS.build(loader.dataset)
        torch.manual_seed(args.seed)
        np.random.seed(args.seed)
        sheet = draw(args, dataset, normalisation(loader.dataset.pipeline))
        path = save_picture(sheet, args.out or Path(cfg.work_dir) / 'views.png')
        print(f'saved: {path}')


if __name__ == '__main__':
    main()
