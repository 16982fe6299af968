#!/usr/bin/env python
"""Train and test configs several times each; print one table with mean and std.

RegDB has ten splits and one model for each; on SYSU-MM01 and LLCM a trial is a seed.
Which keys of the config get the number of the trial stands in its ``trial_keys``.
Started again with the same arguments, it continues where it was stopped.

Examples:
    python tools/run_trials.py configs/cift/cift_r50_120e_regdb.py --trials 1-10
    python tools/run_trials.py configs/cift/cift_r50_120e_sysu.py --trials 0,1,2 --gpus 2
    python tools/run_trials.py configs/agw/agw_r18_demo.py configs/cift/cift_r18_demo.py \
        --trials 0-2 --work-dir work_dirs/demo_trials --markdown
"""

import argparse
import json
import re
import sys
from pathlib import Path

from mmvireid.checkpoints import find_checkpoint, finished_checkpoint
from mmvireid.cli import (
    add_config,
    add_config_options,
    add_work_dir,
    claim_folder,
    lock_work_dir,
    one_sentence_errors,
    positive,
    run_command,
    shell_path,
    tool_parser,
)
from mmvireid.config import SHARED_AMONG_PROCESSES, load_config, load_stages
from mmvireid.evaluation import format_table, summarize
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.records import read_record, read_record_if_complete

TOOLS = Path(__file__).resolve().parent


def parse_trials(text: str) -> list[int]:
    """Read ``1-10`` or ``1,3,5-7``."""
    trials: list[int] = []
    for part in text.split(','):
        match = re.fullmatch(r'(\d+)(?:-(\d+))?', part.strip())
        if not match:
            raise argparse.ArgumentTypeError(f'trials are written 1-10 or 1,3,5, not "{text}"')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f'"{part.strip()}" is no range of trials: write '
                                             f'{last}-{first}')
        trials += range(first, last + 1)
    return trials


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser, 'config file; several make one table', nargs='+')
    parser.add_argument('--trials', type=parse_trials, default=parse_trials('1-10'))
    add_work_dir(parser, 'folder; one subfolder a trial, or a config and in it a trial')
    parser.add_argument(
        '--gpus',
        type=positive,
        default=1,
        help="processes per training, among which the recipe's batch is divided")
    parser.add_argument('--amp', action='store_true', help='train with mixed precision')
    parser.add_argument(
        '--reuse-stages', type=shell_path, metavar='DIR', help='as in tools/train.py')
    parser.add_argument('--tta', action='store_true', help='test with flip averaging')
    parser.add_argument('--markdown', action='store_true', help='print a Markdown table')
    add_config_options(parser)
    return parser.parse_args()


def launch(tool: str, gpus: int, arguments: list) -> None:
    """Run a tool, on several processes if asked; stop with its exit code if it fails."""
    command = [sys.executable]
    if gpus > 1:
        command += ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={gpus}']
    command += [TOOLS / tool, *arguments]
    if gpus > 1:
        command += ['--launcher', 'pytorch']
    run_command(command)


def divide_batch(cfg, gpus: int) -> list[str]:
    """Give the overrides that keep the recipe's batch on several processes."""
    loader = cfg.train_dataloader
    if gpus == 1:
        return []
    # People, or clusters, of a step.
    keys = [key for key in SHARED_AMONG_PROCESSES if key in loader.sampler]
    for key in keys:
        if loader.sampler[key] % gpus:
            raise ConfigError(
                f'{key}={loader.sampler[key]} of a step cannot be divided among {gpus} '
                f'processes: choose another --gpus, or change train_dataloader.sampler.{key} '
                'and train_dataloader.batch_size with --cfg-options.')
    return [f'train_dataloader.batch_size={loader.batch_size // gpus}',
            *(f'train_dataloader.sampler.{key}={loader.sampler[key] // gpus}' for key in keys)]


def run_trial(args: argparse.Namespace, config: str, cfg, trial: int, folder: Path) -> list:
    """Train and test one trial unless its results exist; return them."""
    results = folder / 'results.json'
    claim_folder(folder, load_stages(config, args.cfg_options), tta=args.tta, amp=args.amp)
    options = ['--cfg-options', *args.cfg_option_words,
               *(f'{key}={trial}' for key in cfg.trial_keys)]
    if read_record_if_complete(results) is None:
        checkpoint = finished_checkpoint(folder, cfg)
        if checkpoint is None:
            print(f'\n=== {config}, trial {trial}: training in {folder}', flush=True)
            extra = ['--resume'] + (['--amp'] if args.amp else [])
            if args.reuse_stages:
                extra += ['--reuse-stages', args.reuse_stages]
            launch('train.py', args.gpus, [
                config, '--work-dir', folder, *extra, *options,
                *divide_batch(cfg, args.gpus)
            ])
            checkpoint = find_checkpoint(folder)
        print(f'\n=== {config}, trial {trial}: testing {checkpoint}', flush=True)
        extra = ['--tta'] if args.tta else []
        launch('test.py', args.gpus, [
            config, checkpoint, '--work-dir', folder / 'test', '--out', results, *extra,
            *options
        ])
    return read_record(results)


def read_config(config: str, args: argparse.Namespace):
    """Read a config with the overrides and check that it says what a trial is."""
    cfg = load_config(config, args.cfg_options)
    if not cfg.get('trial_keys'):
        raise ConfigError(
            f'{config} does not say what a trial is: add trial_keys, for example '
            'trial_keys = ["randomness.seed"].')
    divide_batch(cfg, args.gpus)
    return cfg


def name_folders(args: argparse.Namespace) -> dict[str, Path]:
    """Give each config a folder for its trials."""
    if len(args.config) == 1:
        config, = args.config
        return {config: Path(args.work_dir or Path('work_dirs') / f'{Path(config).stem}_trials')}
    if not args.work_dir:
        raise ConfigError('several configs need a common folder: name one with --work-dir.')
    folders = {config: Path(args.work_dir) / Path(config).stem for config in args.config}
    if len(set(folders.values())) < len(args.config):
        raise ConfigError('two of the configs have the same file name, so their results would '
                          'have the same folder: rename one, or run them one after the other.')
    return folders


def main() -> None:
    """Run all trials and print the table."""
    args = parse_args()
    with one_sentence_errors('Start the same command again to continue.'):
        folders = name_folders(args)
        # A mistake in the last config is found before the first is trained.
        configs = {config: read_config(config, args) for config in folders}
        for config, folder in folders.items():
            lock_work_dir(folder)
            trials = {
                trial: run_trial(args, config, configs[config], trial, folder / f'trial_{trial}')
                for trial in args.trials
            }
            report(config, trials, folder, args.markdown)
        if len(folders) > 1:
            print('\nAll configs:\n', flush=True)
            run_command([sys.executable, TOOLS / 'analysis_tools' / 'summarize_trials.py',
                         *folders.values(), '--format', 'markdown' if args.markdown else 'text'])


def report(config: str, trials: dict[int, list], work_dir: Path, markdown: bool) -> None:
    """Print and save mean and std over the trained models.

    Each model counts once, with its own mean over random galleries.
    """
    tables: dict[str, dict] = {}
    for results in trials.values():
        for entry in results:
            means = {k: v for k, v in entry['summary'].items() if not k.endswith('_std')}
            rows = tables.setdefault(f'{entry["dataset"]} {entry["setting"]}', {})
            rows.setdefault(entry['ranking'], []).append(means)
    summary = {
        setting: {ranking: summarize(values)
                  for ranking, values in rows.items()}
        for setting, rows in tables.items()
    }
    for setting, rows in summary.items():
        print(f'\n{config}: {setting}, mean ± std over {len(trials)} trained models '
              f'(trials {", ".join(map(str, trials))}), %')
        print(format_table(rows, markdown))
    path = work_dir / 'summary.json'
    write_atomically(
        json.dumps(dict(trials=list(trials), summary=summary), indent=2).encode(), path)
    print(f'\nsaved: {path}')


if __name__ == '__main__':
    main()
