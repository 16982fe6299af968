#!/usr/bin/env python
"""Show who receives features from whom in the graph of a ranking, of one model or of two.

Some people of the test set form one graph: a row receives, a column (an image of the gallery's
modality) sends. What is sent within a person is framed. The graph is that of the config's first
ranking with one, as CIFT's has; a model that was trained without counterfactual relation
intervention can be set beside one with it.

Examples:
    python tools/visualization/vis_affinity.py CONFIG CHECKPOINT
    python tools/visualization/vis_affinity.py configs/cift/cift_r50_120e_sysu.py with.pth \
        --compare configs/cift/cift_r50_120e_sysu_wo-cri.py without.pth
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
    shell_path,
    tool_parser,
    write_demo_data,
)
from mmvireid.cli.inference import embed_people
from mmvireid.config import load_config
from mmvireid.structures import Modality
from mmvireid.visualization import (
    TransferGraph,
    draw_affinity,
    graph_of_people,
    ranking_with_graph,
    save_picture,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser, 'config file of a model that is ranked by a graph')
    add_checkpoint(parser)
    parser.add_argument(
        '--compare', type=shell_path, nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
        help='a second model')
    parser.add_argument(
        '--query', choices=('infrared', 'visible'), default='infrared',
        help='modality of the queries; images of the other are the gallery')
    add_chosen_people(parser, 8, 4)
    add_out(parser, 'the picture; by default affinity.png in the work directory')
    add_config_options(parser)
    return parser.parse_args()


def graph_of(config: str, checkpoint: str, args: argparse.Namespace) -> TransferGraph:
    """Compute the graph that a model forms over some people."""
    cfg = load_config(config, args.cfg_options)
    write_demo_data(cfg)
    inferencer = VIReIDInferencer(cfg, checkpoint)
    ranking = ranking_with_graph({name: inferencer.ranking(name) for name in inferencer.rankings})
    images = embed_people(inferencer, args.people, args.images, args.seed)
    return graph_of_people(images, ranking, Modality[args.query.upper()], people=args.people,
                           per_modality=args.images, seed=args.seed)


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
