#!/usr/bin/env python
"""Train CIFT on synthetic pedestrians, test it, and draw what it finds.

Every step is a command that you can type yourself; it is printed before it runs. A
step whose result exists is skipped, and an interrupted training goes on where it was.
"""

import argparse
import os
import time
from pathlib import Path

from mmvireid.cli import (
    DEMO_LOCK,
    add_config_options,
    add_work_dir,
    claim_folder,
    evaluate_once,
    lock_work_dir,
    one_sentence_errors,
    run_step,
    shell_path,
    tool_parser,
    train_once,
)
from mmvireid.config import load_config
from mmvireid.evaluation import format_table
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.records import read_record

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/cift/cift_r18_demo.py'
NAMES = dict(
    backbone='CIFT† (backbone descriptor)',
    k_reciprocal='CIFT† + k-reciprocal',
    cift='CIFT (graph over the gallery)')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument('--config', type=shell_path, default=CONFIG, help='config to run')
    add_work_dir(parser, 'folder for everything but the pictures', 'work_dirs/demo')
    add_config_options(parser)
    return parser.parse_args()


def read_rows(path: Path) -> dict:
    """Read the mean and std over trials of each ranking."""
    return {entry['ranking']: entry['summary'] for entry in read_record(path)}


def main() -> None:
    """Run all steps, with one sentence where one of them cannot."""
    args = parse_args()
    os.chdir(ROOT)
    with one_sentence_errors('Type the same command again to continue.'):
        run_steps(args)


def run_steps(args: argparse.Namespace) -> None:
    """Run all steps and print the table."""
    start = time.time()
    options = ['--cfg-options', *args.cfg_option_words] if args.cfg_options else []
    cfg = load_config(args.config, args.cfg_options)
    if not cfg.get('demo_data'):
        raise ConfigError(
            f'{args.config} does not say what pictures to draw in demo_data, as {CONFIG} does: '
            'train it with tools/train.py, or write a config that inherits from that one.')
    work_dir = Path(args.work_dir)
    lock_work_dir(work_dir, name=DEMO_LOCK)
    claim_folder(work_dir, [cfg])
    data, root = cfg.demo_data, cfg.test_dataloader.dataset.data_root
    run_step(
        '1/5 Draw synthetic pedestrians in the layout of SYSU-MM01',
        'tools/dataset_converters/make_synthetic.py', '--layout', 'sysu', '--ids', data.ids,
        '--test-ids', data.test_ids, '--images-per-camera', data.images_per_camera, '--size',
        *data.size, '--seed', data.seed, '--out', root)

    untrained = evaluate_once(
        '2/5 Test the untrained network (the first test on a machine compiles, half a minute)',
        args.config, work_dir / 'untrained', options)
    checkpoint = train_once('3/5 Train CIFT', args.config, cfg, work_dir, options)
    results = evaluate_once('4/5 Test CIFT and draw ranking lists', args.config,
                            work_dir / 'test', options, checkpoint)
    before, after = read_rows(untrained), read_rows(results)

    print(f'\n=== 5/5 Results, {time.time() - start:.0f} s after the start')
    print('Synthetic pedestrians, all-search, single-shot, mean ± std over '
          f'{len(read_record(results)[0]["trials"])} trials, %.')
    print('A stand-in for trying the toolbox: these numbers say nothing about real data.\n')
    rows = {'untrained network': before['backbone']}
    rows.update({NAMES[name]: row for name, row in after.items()})
    print(format_table(rows))
    ratio = after['backbone']['mAP'] / before['backbone']['mAP']
    print(f'\nCIFT† Rank-1 {after["backbone"]["R1"]:.1f} %; its mAP is {ratio:.1f} times that of '
          'the untrained network.')
    print(f'Ranking lists: {(work_dir / "test" / "ranking_lists" / "all_single.png").resolve()}')


if __name__ == '__main__':
    main()
