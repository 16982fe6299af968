#!/usr/bin/env python
"""Test a checkpoint and write one HTML file that says how good it is and where it fails.

Examples:
    python tools/visualization/report.py CONFIG CHECKPOINT
    python tools/visualization/report.py CONFIG CHECKPOINT --out report.html --protocol v2t t2v
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from mmvireid.checkpoints import check_checkpoint
from mmvireid.cli import (
    add_checkpoint,
    add_config,
    add_out,
    add_run_arguments,
    add_test_arguments,
    check_work_dir,
    lock_work_dir,
    one_sentence_errors,
    positive,
    run_test,
    tool_parser,
    write_demo_data,
)
from mmvireid.config import as_list, load_config
from mmvireid.utils.errors import ConfigError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    add_checkpoint(parser)
    add_out(parser, 'the report; by default report.html in the work directory', 'FILE.html')
    add_test_arguments(parser)
    parser.add_argument(
        '--explore', nargs='+', metavar='SETTING',
        help='settings whose queries are shown one by one; by default the first reported')
    parser.add_argument('--topk', type=positive, default=10, help='gallery images for each query')
    parser.add_argument(
        '--max-megabytes', type=float, default=20, metavar='MB', help='largest size of the file')
    add_run_arguments(parser)
    return parser.parse_args()


def check_explored(cfg, explore: Sequence[str]) -> None:
    """Refuse, before the test, to explore a setting that it will not have."""
    tested = as_list(cfg.test_evaluator)[0].get('settings')
    tested = [tested] if isinstance(tested, str) else tested
    unknown = sorted(set(explore) - set(tested or explore))  # None is all that there are
    if unknown:
        raise ConfigError(f'the report cannot explore {", ".join(unknown)}; the test has the '
                          f'settings {", ".join(tested)}.')


def add_report(cfg, args: argparse.Namespace) -> None:
    """Let the test end with a report."""
    checkpoint = Path(args.checkpoint)
    out = Path(args.out or Path(cfg.work_dir) / 'report.html')
    check_work_dir(out.parent)
    records = [folder / 'clustering.json' for folder in (checkpoint.parent, Path(cfg.work_dir))]
    notes = [f'{checkpoint.parent.name}/{checkpoint.name}', time.strftime('%d %B %Y')]
    if args.tta:
        notes.insert(1, 'descriptors averaged with those of mirror images')
    cfg.default_hooks.pop('ranking_list', None)
    cfg.default_hooks.report = dict(
        type='ReportHook',
        out_file=str(out),
        title=Path(args.config).stem,
        notes=notes,
        explore=args.explore,
        topk=args.topk,
        max_megabytes=args.max_megabytes,
        clustering_file=next((str(path) for path in records if path.is_file()), None))


def main() -> None:
    """Test and report."""
    args = parse_args()
    with one_sentence_errors():
        cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
        lock_work_dir(cfg.work_dir, cfg.launcher)
        check_checkpoint(args.checkpoint)
        cfg.load_from = args.checkpoint
        if args.tta:
            cfg.model.test_cfg = {**cfg.model.get('test_cfg', {}), 'flip': True}
        if args.protocol:
            for evaluator in as_list(cfg.test_evaluator):
                evaluator.settings = args.protocol
        check_explored(cfg, args.explore or ())
        add_report(cfg, args)
        write_demo_data(cfg)
        run_test(cfg)


if __name__ == '__main__':
    main()
