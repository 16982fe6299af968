#!/usr/bin/env python
"""Show where a network looks, in both modalities.

Each row is a person: a visible image and an infrared one, each with its map. Two maps:

* activation: length of the feature vector at each place, before pooling.
* similarity: the places that make this visible and this infrared image alike (Grad-CAM of
  Selvaraju et al., ICCV 2017, with the cosine of the two descriptors as the score).

Examples:
    python tools/visualization/vis_cam.py CONFIG CHECKPOINT
    python tools/visualization/vis_cam.py CONFIG CHECKPOINT --method activation --people 12
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import init_default_scope
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torch.nn import functional

from mmvireid.cli import (
    add_checkpoint,
    add_chosen_people,
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
from mmvireid.inference.embedders import build_network
from mmvireid.registry import DATASETS
from mmvireid.utils.errors import EvaluationError
from mmvireid.utils.pictures import load_picture
from mmvireid.visualization import save_picture
from mmvireid.visualization.embedding import choose_images

GAP, TEXT, TOP = 8, 20, 56


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    add_checkpoint(parser)
    parser.add_argument('--method', choices=('similarity', 'activation'), default='similarity')
    add_chosen_people(parser, 6)
    parser.add_argument('--height', type=positive, default=192, help='of an image on the sheet')
    add_out(parser, 'the picture; by default cam.png in the work directory')
    add_config_options(parser)
    return parser.parse_args()


def choose_pairs(dataset: CrossModalityDataset, people: int, seed: int) -> list[tuple[int, int]]:
    """Choose a visible and an infrared image of some random people."""
    identity, modality = dataset.identities, dataset.modalities
    rows = choose_images(identity, modality, people, 1, seed)
    pairs = []
    for person in np.unique(identity[rows]):
        own = rows[identity[rows] == person]
        if len(own) == 2:
            pairs.append((int(own[modality[own] == 0][0]), int(own[modality[own] == 1][0])))
    if not pairs:
        raise EvaluationError('nobody in the test set was seen in both modalities.')
    return pairs


def feature_maps(model: nn.Module, inputs: Tensor, modality: Tensor) -> Tensor:
    """Compute the maps before pooling, shape ``(N, C, h, w)``."""
    maps = model.backbone(inputs.contiguous(memory_format=model.memory_format), modality)
    return maps[-1] if isinstance(maps, (tuple, list)) else maps


def compute_maps(model: nn.Module, inputs: Tensor, modality: Tensor, method: str) -> Tensor:
    """Compute one map an image, with values from 0 to 1.

    Args:
        model: the network, in evaluation mode.
        inputs: shape ``(2 P, 3, H, W)``, rows 2 p and 2 p + 1 are a pair.
        modality: shape ``(2 P,)``.
        method: 'similarity' or 'activation'.

    Returns:
        Shape ``(2 P, H, W)``.
    """
    with torch.no_grad():
        maps = feature_maps(model, inputs, modality)
    if method == 'activation':
        weight = maps.norm(dim=1)
    else:
        maps = maps.detach().requires_grad_()
        descriptors = model.head.predict(model.neck(maps) if model.neck else maps)['base']
        score = (descriptors[0::2] * descriptors[1::2]).sum()
        gradient, = torch.autograd.grad(score, maps)
        weight = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu()
    weight = functional.interpolate(
        weight[:, None].detach(), inputs.shape[2:], mode='bicubic', align_corners=False)[:, 0]
    low, high = weight.amin((1, 2), keepdim=True), weight.amax((1, 2), keepdim=True)
    return (weight - low) / (high - low).clamp(min=1e-12)


def overlay(image: Image.Image, weight: Tensor) -> Image.Image:
    """Lay a map over an image, from clear to warm."""
    from matplotlib import colormaps  # after mmvireid, which knows about notebooks' backends
    colours = colormaps['inferno'](weight.cpu().numpy())[..., :3]
    warm = Image.fromarray((255 * colours).astype(np.uint8)).resize(image.size)
    return Image.blend(image.convert('L').convert('RGB'), warm, 0.55)


def draw(args: argparse.Namespace, samples: list, maps: Tensor, cosine: Tensor) -> Image.Image:
    """Draw the sheet, a row a person."""
    size = (args.height // 2, args.height)
    width, height = size[0] + GAP, size[1] + TEXT + GAP
    per_line = 2  # people beside one another
    lines = -(-len(samples) // 2 // per_line)
    sheet = Image.new('RGB', (2 * GAP + per_line * (4 * width + 3 * GAP),
                              TOP + lines * height), 'white')
    pen = ImageDraw.Draw(sheet)
    what = {'similarity': 'what makes the two images of a person alike',
            'activation': 'length of the features at each place'}[args.method]
    pen.text((GAP, GAP), Path(args.config).stem, fill='#202020',
             font=ImageFont.load_default(size=17))
    pen.text((GAP, GAP + 24), f'{args.method}: {what}; brighter is more', fill='#606060',
             font=ImageFont.load_default(size=12))
    for i, sample in enumerate(samples):
        person, second = divmod(i, 2)
        line, column = divmod(person, per_line)
        x = GAP + column * (4 * width + 3 * GAP) + 2 * second * width
        y = TOP + line * height
        image = load_picture(sample.img_path).resize(size, Image.Resampling.BICUBIC)
        sheet.paste(image, (x, y))
        sheet.paste(overlay(image, maps[i]), (x + width, y))
        if not second:
            pen.text((x, y + size[1] + 3), f'identity {sample.identity}, cosine '
                     f'{float(cosine[person]):.2f}', fill='#606060',
                     font=ImageFont.load_default(size=12))
    return sheet


def main() -> None:
    """Draw the maps."""
    args = parse_args()
    with one_sentence_errors():
        cfg = load_config(args.config, args.cfg_options)
        write_demo_data(cfg)
        init_default_scope('mmvireid')
        model = build_network(cfg, args.checkpoint).eval()
        if hasattr(model, 'members'):  # of several networks, the first has a picture
            model = model.members[0]
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        rows = [row for pair in choose_pairs(dataset, args.people, args.seed) for row in pair]
        loaded = [dataset[row] for row in rows]
        batch = model.data_preprocessor(dict(
            inputs=[one['inputs'] for one in loaded],
            data_samples=[one['data_samples'] for one in loaded]))
        samples = batch['data_samples']
        modality = torch.tensor([int(sample.modality) for sample in samples])
        maps = compute_maps(model, batch['inputs'], modality, args.method)
        with torch.no_grad():
            base = model.head.predict(model.extract_feat(batch['inputs'], modality))['base']
        sheet = draw(args, samples, maps, (base[0::2] * base[1::2]).sum(1))
        path = save_picture(sheet, args.out or Path(cfg.work_dir) / 'cam.png')
        print(f'saved: {path}')


if __name__ == '__main__':
    main()
