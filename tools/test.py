#!/usr/bin/env python
"""Test a checkpoint.

Examples:
    python tools/test.py CONFIG CHECKPOINT --out results.json
    python tools/test.py CONFIG CHECKPOINT --protocol all_single indoor_single --tta
"""

import argparse

from mmvireid.checkpoints import check_checkpoint
from mmvireid.cli import (
    add_checkpoint,
    add_config,
    add_out,
    add_run_arguments,
    add_show_dir,
    add_test_arguments,
    check_out_file,
    check_work_dir,
    lock_work_dir,
    one_sentence_errors,
    run_test,
    shell_path,
    tool_parser,
    write_demo_data,
)
from mmvireid.config import as_list, load_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    add_checkpoint(
        parser, 'checkpoint file; without one the untrained model is tested', nargs='?')
    add_test_arguments(parser)
    add_show_dir(parser, 'draw ranking lists of some queries into this folder')
    add_out(parser, 'write all numbers, per trial too', 'FILE.json')
    parser.add_argument(
        '--dump-queries',
        type=shell_path,
        metavar='FILE.json',
        help='write the outcome of each query, for analysis_tools/compare_runs.py')
    add_run_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Test."""
    args = parse_args()
    with one_sentence_errors():
        cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
        lock_work_dir(cfg.work_dir, cfg.launcher)
        cfg.load_from = args.checkpoint or cfg.get('load_from')
        if cfg.load_from:
            check_checkpoint(cfg.load_from)
        else:
            print('No checkpoint is given: the network is tested as training would begin with it.')
        for file in filter(None, (args.out, args.dump_queries)):
            check_out_file(file)
        if args.show_dir:
            check_work_dir(args.show_dir)
        if args.tta:
            cfg.model.test_cfg = {**cfg.model.get('test_cfg', {}), 'flip': True}
        for evaluator in as_list(cfg.test_evaluator):
            if args.protocol:
                evaluator.settings = args.protocol
            if args.out:
                evaluator.out_file = args.out
            if args.dump_queries:
                evaluator.queries_file = args.dump_queries
        if args.show_dir:
            cfg.default_hooks.setdefault('ranking_list', dict(type='RankingListHook'))
            cfg.default_hooks.ranking_list.out_dir = args.show_dir
        write_demo_data(cfg)
        run_test(cfg)


if __name__ == '__main__':
    main()
