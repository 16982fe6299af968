#!/usr/bin/env python
"""Train without identities on synthetic pedestrians: BMIL, its ablations, other methods.

By default BMIL (M6) and naive global clustering (M2); --ablation trains all six variants of
BMIL's paper with three seeds each, --methods those two and all other methods. Every step is
a command that you can type yourself; it is printed before it runs. A step whose result
exists is skipped, and an interrupted training goes on where it was.
"""

import argparse
import os
import time
from pathlib import Path

from mmvireid.checkpoints import last_stage_dir
from mmvireid.cli import (
    DEMO_LOCK,
    add_config_options,
    add_work_dir,
    claim_folder,
    evaluate_once,
    lock_work_dir,
    one_sentence_errors,
    shell_path,
    tool_parser,
    train_once,
    write_demo_data,
)
from mmvireid.config import load_config, load_stages
from mmvireid.evaluation import format_table, summarize
from mmvireid.utils.records import read_record, read_record_if_complete

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = {
    'M1': 'intra-modality only',
    'M2': 'naive global clustering',
    'M3': 'modality-aware distance',
    'M4': 'M3 + subsets',
    'M5': 'subsets + split-and-contrast',
    'M6': 'BMIL, all of it',
    'ADCA': 'matching by votes',
    'PGM': 'progressive graph matching',
    'RPNR': 'optimal transport, neighbour relations',
    'N-ULC': 'PGM with soft labels',
}
#: Variants that are no ablations of BMIL -> their configs.
METHODS = {
    'ADCA': 'configs/adca/adca_r18_demo.py',
    'PGM': 'configs/pgm/pgm_r18_demo.py',
    'RPNR': 'configs/rpnr/rpnr_r18_demo.py',
    'N-ULC': 'configs/nulc/nulc_r18_demo.py',
}
COUNTS = dict(
    clusters='clusters', mixed='mixed', linked='images in mixed ones, %', ari='ARI',
    purity='right links, %')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        '--variants', nargs='+', choices=VARIANTS, default=['M2', 'M6'], help='what to train')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], help='one training each')
    parser.add_argument(
        '--ablation', action='store_true', help='M1 to M6 with the seeds 0, 1 and 2')
    parser.add_argument(
        '--methods', action='store_true',
        help='M2, M6 and all other methods with the seeds 0, 1 and 2')
    parser.add_argument('--markdown', action='store_true', help='print Markdown tables')
    parser.add_argument(
        '--config', type=shell_path, default='configs/bmil/bmil_r18_demo.py',
        help='config of BMIL; its ablations lie beside it, <name>_m1.py and so on')
    parser.add_argument(
        '--pretrain', type=shell_path, default='configs/bmil/pretrain_r18_visible.py',
        help='config of the network to start from')
    add_work_dir(parser, 'folder for all results', 'work_dirs/demo_unsupervised')
    add_config_options(parser, 'as in tools/train.py, for all variants')
    args = parser.parse_args()
    if args.ablation:
        # The ones whose beginning others share come first.
        args.variants, args.seeds = ['M1', 'M6', 'M2', 'M3', 'M4', 'M5'], [0, 1, 2]
    if args.methods:
        args.variants, args.seeds = ['M2', 'M6', *METHODS], [0, 1, 2]
    return args


def main() -> None:
    """Run all steps, with one sentence where one of them cannot."""
    args = parse_args()
    os.chdir(ROOT)
    with one_sentence_errors('Type the same command again to continue.'):
        run_steps(args)


def config_of(args: argparse.Namespace, variant: str) -> str:
    """Return the config file of a variant."""
    if variant in METHODS:
        return METHODS[variant]
    path = Path(args.config)
    return str(path if variant == 'M6' else path.with_stem(f'{path.stem}_{variant.lower()}'))


def run_steps(args: argparse.Namespace) -> None:
    """Train, test, and print the tables."""
    start = time.time()
    work_dir = Path(args.work_dir)
    lock_work_dir(work_dir, name=DEMO_LOCK)
    common = ['--cfg-options', *args.cfg_option_words] if args.cfg_options else []
    pretrain = load_config(args.pretrain)
    train_once('Pre-train on other synthetic people, visible images only, with their identities',
               args.pretrain, pretrain, Path(pretrain.work_dir))
    write_demo_data(load_config(args.config, args.cfg_options))
    before = evaluate_once('Test the pre-trained network as it is', args.config,
                           work_dir / 'pretrained', common)
    results: dict[str, list[Path]] = {}
    for seed in args.seeds:
        for variant in args.variants:
            results.setdefault(variant, []).append(run_variant(args, work_dir, variant, seed))

    print(f'\n=== Results, {time.time() - start:.0f} s after the start')
    print('Synthetic pedestrians, no identities used, all-search, single-shot, last epoch, %, '
          + (f'mean ± std over the seeds {", ".join(map(str, args.seeds))}.'
             if len(args.seeds) > 1 else 'mean ± std over random galleries.'))
    print('The network started from other synthetic people, visible images with identities, as a\n'
          'stand-in for ImageNet weights. These numbers say nothing about real data.\n')
    rows = {'pre-trained network': summary(before)}
    clusters = {}
    for variant in sorted(results, key=list(VARIANTS).index):
        name = f'{variant}  {VARIANTS[variant]}'
        rows[name] = over_seeds([summary(path) for path in results[variant]])
        found = [last_clusters(path.parents[1]) for path in results[variant]]
        if all(found):
            clusters[name] = over_seeds(found)
    print(format_table(rows, args.markdown))
    if clusters:
        print('\nGlobal clusters of the last epoch:\n')
        print(format_table(clusters, args.markdown))


def run_variant(args: argparse.Namespace, work_dir: Path, variant: str, seed: int) -> Path:
    """Train and test one variant with one seed; return the file with the numbers."""
    config = config_of(args, variant)
    options = ['--cfg-options', f'randomness.seed={seed}', *args.cfg_option_words]
    stages = load_stages(config, {'randomness.seed': seed, **args.cfg_options})
    folder = work_dir / f'{variant}_seed{seed}'
    claim_folder(folder, stages)
    name = f'{variant} ({VARIANTS[variant]}), seed {seed}'
    checkpoint = train_once(f'Train {name}', config, stages[-1], folder, options, reuse=work_dir)
    return evaluate_once(f'Test {name}', config, folder / 'test', options, checkpoint)


def summary(path: Path) -> dict:
    """Read the mean and std over galleries of the first ranking."""
    return read_record(path)[0]['summary']


def last_clusters(folder: Path) -> dict:
    """Read the global clustering of the last epoch, if there was one."""
    found = read_record_if_complete(last_stage_dir(folder) / 'clustering.json') or []
    records = [r for r in found if r['modality'] == 'both']
    if not records:
        return {}
    matching = [r['seconds'].get('match', 0.) for r in records]
    return {**{title: records[-1][key] or 0 for key, title in COUNTS.items()},
            'matching, s per epoch': sum(matching) / len(matching)}


def over_seeds(rows: list[dict]) -> dict:
    """Average over trainings; a single one keeps its own spread."""
    if len(rows) == 1:
        return rows[0]
    return summarize([{k: v for k, v in row.items() if not k.endswith('_std')} for row in rows])


if __name__ == '__main__':
    main()
