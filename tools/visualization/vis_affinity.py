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

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from torch import Tensor

from mmvireid.apis import ConfigError, key_value, load_config, one_sentence_errors, write_demo_data
from mmvireid.apis.embedders import build_network
from mmvireid.models import transfer_affinity
from mmvireid.models.heads.cift_head import QUERY_MODALITY
from mmvireid.registry import DATASETS
from mmvireid.visualization.embedding import choose_images


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of a CIFT model')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--compare', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help='a second model')
    parser.add_argument(
        '--direction', choices=tuple(QUERY_MODALITY), default='i2r',
        help='i2r: infrared queries, visible gallery; r2i: the other way round')
    parser.add_argument('--people', type=int, default=8, help='people of the test set')
    parser.add_argument('--images', type=int, default=4, help='images of each in each modality')
    parser.add_argument('--seed', type=int, default=0, help='decides people and images')
    parser.add_argument('--out', metavar='FILE', help='the picture; by default affinity.png in '
                        'the work directory')
    parser.add_argument(
        '--cfg-options', nargs='+', type=key_value, action=DictAction, metavar='KEY=VALUE',
        help='as in tools/train.py')
    return parser.parse_args()


def graph_settings(cfg: Config) -> dict:
    """Find the temperatures and neighbours of the graph that a config tests with."""
    for ranking in cfg.test_evaluator.get('rankings', {}).values():
        for step in ranking.get('post', ()):
            if step['type'] == 'GraphTransfer':
                return {key: step[key] for key in ('tau_het', 'tau_hom', 'num_neighbors')
                        if key in step}
    return {}


def affinity(cfg: Config, checkpoint: str, args: argparse.Namespace
             ) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Compute the graph of some people.

    Returns:
        Affinity of shape ``(N, N)``, gallery first; identity and "is a query", ``(N,)``.
    """
    model = build_network(cfg, checkpoint).eval()
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    rows = choose_images(
        dataset.identities, dataset.modalities, args.people, args.images, args.seed)
    is_query = dataset.modalities[rows] == QUERY_MODALITY[args.direction]
    rows = rows[np.lexsort((dataset.identities[rows], is_query))]
    loaded = [dataset[int(row)] for row in rows]
    with torch.no_grad():
        samples = model.test_step(dict(
            inputs=[one['inputs'] for one in loaded],
            data_samples=[one['data_samples'] for one in loaded]))
    if args.direction not in samples[0].descriptors:
        raise ConfigError(f'{type(model.head).__name__} has no graph from '
                          f'{args.direction.replace("2", " to ")}: give a CIFT model.')
    features = torch.stack([sample.descriptors[args.direction] for sample in samples])
    is_query = np.sort(is_query)
    graph = transfer_affinity(features, torch.from_numpy(is_query), **graph_settings(cfg))
    return graph, dataset.identities[rows], is_query


def right_share(graph: Tensor, identity: np.ndarray, is_query: np.ndarray) -> float:
    """Give the percentage of what queries receive from the gallery that is of their person."""
    received = graph.numpy()[is_query][:, ~is_query]
    same = identity[is_query][:, None] == identity[~is_query]
    return 100 * float(received[same].sum() / max(received.sum(), 1e-12))


def draw(axes: Axes, graph: Tensor, identity: np.ndarray, is_query: np.ndarray,
         title: str) -> object:
    """Draw one heat map: gallery rows above, query rows below."""
    senders = np.flatnonzero(~is_query)
    image = axes.imshow(graph.numpy()[:, senders], cmap='magma_r', vmin=0, vmax=0.6,
                        aspect='auto', interpolation='nearest')
    for person in np.unique(identity):
        columns = np.flatnonzero(identity[senders] == person)
        for part in (False, True):
            rows = np.flatnonzero((identity == person) & (is_query == part))
            if len(rows) and len(columns):
                axes.add_patch(Rectangle(
                    (columns[0] - 0.5, rows[0] - 0.5), len(columns), len(rows), fill=False,
                    edgecolor='#17834c', linewidth=1.2))
    border = int((~is_query).sum()) - 0.5
    axes.axhline(border, color='#202020', linewidth=1)
    axes.set_yticks([border / 2, border + is_query.sum() / 2],
                    ['gallery receives', 'queries receive'], rotation=90, va='center')
    axes.set(xticks=[], xlabel='gallery images that send, person by person')
    axes.tick_params(length=0)
    share = right_share(graph, identity, is_query)
    axes.set_title(f'{title}\n{share:.1f} % of what queries receive from the gallery is of the '
                   'right person', fontsize=10)
    return image


def main() -> None:
    """Draw the heat maps."""
    args = parse_args()
    with one_sentence_errors():
        models = [(args.config, args.checkpoint), *([tuple(args.compare)] if args.compare else [])]
        figure = Figure(figsize=(6.5 * len(models) + 0.8, 8), layout='constrained')
        panels = figure.subplots(1, len(models), squeeze=False)[0]
        for panel, (config, checkpoint) in zip(panels, models):
            cfg = load_config(config, args.cfg_options)
            write_demo_data(cfg)
            init_default_scope('mmvireid')
            image = draw(panel, *affinity(cfg, checkpoint, args), title=Path(config).stem)
        figure.colorbar(image, ax=panels, label='weight (rows sum to one)', shrink=0.6)
        out = Path(args.out or Path(load_config(args.config).work_dir) / 'affinity.png')
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=120)
        print(f'saved: {out.resolve()}')


if __name__ == '__main__':
    main()
