#!/usr/bin/env python
"""Show which people lie together and which modalities apart: a t-SNE embedding of descriptors.

The colour is the person, the marker the modality; a dashed line joins the two modalities of a
person, so long lines are the modality gap.

Examples:
    python tools/visualization/vis_tsne.py CONFIG CHECKPOINT
    python tools/visualization/vis_tsne.py CONFIG CHECKPOINT --people 8 --descriptor i2r
"""

import argparse
from pathlib import Path

from mmvireid.apis import VIReIDInferencer
from mmvireid.cli import (
    add_checkpoint,
    add_chosen_people,
    add_config,
    add_config_options,
    add_out,
    one_sentence_errors,
    tool_parser,
    write_demo_data,
)
from mmvireid.cli.inference import embed_people
from mmvireid.config import load_config
from mmvireid.visualization import draw_embedding, save_picture


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    add_checkpoint(parser)
    parser.add_argument('--descriptor', default='base', help='which one to embed')
    add_chosen_people(parser, 12, 30)
    add_out(parser, 'the picture; by default tsne.png in the work directory')
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Draw the embedding."""
    args = parse_args()
    with one_sentence_errors():
        cfg = load_config(args.config, args.cfg_options)
        write_demo_data(cfg)
        images = embed_people(
            VIReIDInferencer(cfg, args.checkpoint), args.people, args.images, args.seed,
            descriptors=[args.descriptor], progress=True)
        picture = draw_embedding(
            images.descriptors[args.descriptor], images.modality, images.identity,
            group_name='identity', num_groups=args.people, max_images=args.images, seed=args.seed,
            title=f'{Path(args.config).stem}: descriptor "{args.descriptor}" of the test images')
        print(f'saved: {save_picture(picture, args.out or Path(cfg.work_dir) / "tsne.png")}')


if __name__ == '__main__':
    main()
