#!/usr/bin/env python
"""Show who receives features from whom in CIFT's graph, of one model or of two.

Some people of the test set form one graph: a row receives, a column (an image of the gallery's
modality) sends. What is sent within a person is framed. A model that was trained without
counterfactual relation intervention can be set beside one with it.

Examples:
    python tools/visualization/vis_affinity.py CONFIG CHECKPOINT
    python tools/visualization/vis_affinity.py configs/cift/cift_r50_120e_sysu.py with.pth \
        --compare configs/cift/cift_r50_120e_sysu_wo-cri.py without.pth
"""

import argparse
from pathlib import Path

from mmengine.config import Config

from mmvireid.apis import VIReIDInferencer
from mmvireid.cli import (
    add_checkpoint,
    add_chosen_people,
    add_config,
    add_config_options,
    add_out,
    one_sentence_errors,
    shell_path,
    tool_parser,
    write_demo_data,
)
from mmvireid.cli.inference import embed_people
from mmvireid.config import load_config
from mmvireid.models.graph_transfer import QUERY_MODALITY
from mmvireid.visualization import TransferGraph, draw_affinity, graph_of_people, save_picture


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser, 'config file of a CIFT model')
    add_checkpoint(parser)
    parser.add_argument(
        '--compare', type=shell_path, nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
        help='a second model')
    parser.add_argument(
        '--direction', choices=tuple(QUERY_MODALITY), default='i2r',
        help='i2r: infrared queries, visible gallery; r2i: the other way round')
    add_chosen_people(parser, 8, 4)
    add_out(parser, 'the picture; by default affinity.png in the work directory')
    add_config_options(parser)
    return parser.parse_args()


def graph_settings(cfg: Config) -> dict:
    """Find the temperatures and neighbours of the graph that a config tests with."""
    for ranking in cfg.test_evaluator.get('rankings', {}).values():
        for step in ranking.get('post', ()):
            if step['type'] == 'GraphTransfer':
                return {key: step[key] for key in ('tau_het', 'tau_hom', 'num_neighbors')
                        if key in step}
    return {}


def graph_of(config: str, checkpoint: str, args: argparse.Namespace) -> TransferGraph:
    """Compute the graph that a model forms over some people."""
    cfg = load_config(config, args.cfg_options)
    write_demo_data(cfg)
    images = embed_people(VIReIDInferencer(cfg, checkpoint), args.people, args.images, args.seed)
    return graph_of_people(images, args.direction, people=args.people, per_modality=args.images,
                           seed=args.seed, **graph_settings(cfg))


def main() -> None:
    """Draw the heat maps."""
    args = parse_args()
    with one_sentence_errors():
        models = [(args.config, args.checkpoint), *([tuple(args.compare)] if args.compare else [])]
        graphs = {}
        for config, checkpoint in models:
            name = Path(config).stem
            title = name if name not in graphs else f'{name}, {Path(checkpoint).stem}'
            graphs[title] = graph_of(config, checkpoint, args)
        out = args.out or Path(load_config(args.config).work_dir) / 'affinity.png'
        print(f'saved: {save_picture(draw_affinity(graphs), out)}')


if __name__ == '__main__':
    main()
