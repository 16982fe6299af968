#!/usr/bin/env python
"""Measure images per second and memory: of the network, of the loader, or of both.

Examples:
    python tools/analysis_tools/benchmark.py CONFIG --task inference --batch-size 128
    python tools/analysis_tools/benchmark.py CONFIG --task dataloader --num-workers 8
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmvireid.cli import (
    add_config,
    add_config_options,
    add_loading_arguments,
    add_out,
    not_negative,
    one_sentence_errors,
    positive,
    tool_parser,
    write_demo_data,
)
from mmvireid.config import load_config
from mmvireid.registry import MODELS
from mmvireid.structures import ReIDDataSample
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_config(parser)
    parser.add_argument(
        '--task', choices=('inference', 'dataloader', 'both'), default='inference',
        help='inference: the network on random images; dataloader: reading training images; '
        'both: reading test images and the network on them')
    add_loading_arguments(parser)
    parser.add_argument('--amp', action='store_true', help='network in mixed precision')
    parser.add_argument(
        '--warmup', type=not_negative, default=5, help='batches before the clock starts')
    parser.add_argument('--batches', type=positive, default=50, help='batches of one measurement')
    parser.add_argument('--repeat', type=positive, default=3, help='how often to measure')
    add_out(parser, 'write the numbers here too', 'FILE.json')
    add_config_options(parser)
    return parser.parse_args()


def random_batches(cfg, batch_size: int) -> Iterator[dict]:
    """Give the same batch of random images again and again, half of each modality."""
    size = next((step['size'] for step in cfg.test_dataloader.dataset.pipeline
                 if step.get('size')), None)
    if size is None:
        raise ConfigError('the test pipeline does not say how large an image is.')
    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (1, 3, *size), dtype=torch.uint8, generator=generator)
              for _ in range(batch_size)]
    batch = dict(inputs=images, data_samples=[
        ReIDDataSample(metainfo=dict(
            img_path='', sample_idx=i, identity=0, label=-1, camera=0, modality=i % 2))
        for i in range(batch_size)])
    while True:
        yield batch


def loaded_batches(loader) -> Iterator[dict]:
    """Go through a loader again and again."""
    while True:
        yield from loader


def measure(batches: Iterator[dict], step: Callable[[dict], int], warmup: int,
            number: int) -> float:
    """Count images per second."""
    for _ in range(warmup):
        step(next(batches))
    images, start = 0, time.perf_counter()
    for _ in range(number):
        images += step(next(batches))
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return images / (time.perf_counter() - start)


def make_step(cfg, amp: bool) -> Callable[[dict], int]:
    """Build the network; give what it does with a batch."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = MODELS.build(cfg.model).to(device).eval()

    @torch.no_grad()
    def step(batch: dict) -> int:
        number = len(batch['data_samples'])
        with torch.autocast(device, enabled=amp):
            model.test_step(batch)
        return number

    return step


def count(batch: dict) -> int:
    """Count the images of a batch, each view once."""
    return sum(views.shape[0] for views in batch['inputs'])


def main() -> None:
    """Measure and print."""
    args = parse_args()
    with one_sentence_errors():
        cfg = load_config(args.config, args.cfg_options)
        init_default_scope('mmvireid')
        loader_cfg = cfg.train_dataloader if args.task == 'dataloader' else cfg.test_dataloader
        if args.num_workers is not None:
            loader_cfg.num_workers = args.num_workers
        if args.batch_size and args.task != 'dataloader':
            loader_cfg.batch_size = args.batch_size
        if args.task == 'inference':
            batches, what = random_batches(cfg, loader_cfg.batch_size), 'the network'
        else:
            write_demo_data(cfg)
            loader = Runner.build_dataloader(loader_cfg, seed=0)
            batches, what = loaded_batches(loader), f'{loader_cfg.num_workers} workers'
        step = count if args.task == 'dataloader' else make_step(cfg, args.amp)
        rates = [measure(batches, step, args.warmup if i == 0 else 0, args.batches)
                 for i in range(args.repeat)]
        report(args, loader_cfg.batch_size, what, rates)


def report(args: argparse.Namespace, batch_size: int, what: str, rates: list[float]) -> None:
    """Print the numbers, and write them if asked."""
    numbers = dict(
        config=args.config, task=args.task, batch_size=batch_size, images_per_second=rates,
        # Linux counts in KiB. Workers are processes of their own.
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        threads=torch.get_num_threads())
    print(f'{args.task}, {what}, batches of {batch_size}: {np.mean(rates):.1f} ± '
          f'{np.std(rates):.1f} images a second ({len(rates)} x {args.batches} batches)')
    print(f'memory of this process at most {numbers["memory_mb"]:.0f} MB')
    if torch.cuda.is_available() and args.task != 'dataloader':
        numbers['gpu'] = torch.cuda.get_device_name()
        numbers['gpu_memory_mb'] = torch.cuda.max_memory_allocated() / 2**20
        print(f'memory on {numbers["gpu"]} at most {numbers["gpu_memory_mb"]:.0f} MB')
    else:
        print(f'on the CPU, {numbers["threads"]} threads')
    if args.out:
        write_atomically(json.dumps(numbers, indent=2).encode(), args.out)


if __name__ == '__main__':
    main()
