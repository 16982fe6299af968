"""Print images a second of the data loader, without and with the cache of resized images.

Both are measured in one run on the same pictures, so the ratio does not depend on how
busy the machine is on another day. Without --root a synthetic dataset with the sizes of
SYSU-MM01's pictures is written first.

    python benchmarks/loader.py [--root data/SYSU-MM01] [--images 2000] [--workers 0]
"""

import argparse
import os
import tempfile
import time

from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmvireid.datasets import SYSUMM01
from mmvireid.datasets.synthetic import Request, make_synthetic

SIZE = (288, 144)
TRAIN = [
    {'type': 'PadRandomCrop', 'padding': 10},
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'RandomErasing', 'fill': [125.3, 123.0, 113.9]},
]


def build_loader(root, images, workers, cache_dir, augment):
    """Return MMEngine's data loader over the first images of the training set."""
    pipeline = [
        {'type': 'LoadReIDImage', 'size': SIZE, 'cache_dir': cache_dir},
        *(TRAIN if augment else []),
        {'type': 'PackReIDInputs'},
    ]
    return Runner.build_dataloader({
        'dataset': {'type': 'SYSUMM01', 'data_root': root, 'split': 'trainval',
                    'pipeline': pipeline, 'indices': images},
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'batch_size': 64,
        'num_workers': workers,
        'persistent_workers': workers > 0,
    }, seed=0)


def one_epoch(loader):
    """Return images a second of one pass."""
    start, number = time.perf_counter(), 0
    for batch in loader:
        number += len(batch['inputs'])
    return number / (time.perf_counter() - start)


def measure(root, images, workers, augment):
    """Print one row: without cache, filling it, first and second reading from it."""
    with tempfile.TemporaryDirectory() as folder:
        plain_loader = build_loader(root, images, workers, None, augment)
        one_epoch(plain_loader)  # starts the workers, reads the files into memory
        filling_loader = build_loader(root, images, workers, folder, augment)
        plain, filling = one_epoch(plain_loader), one_epoch(filling_loader)
        cached_loader = build_loader(root, images, workers, folder, augment)
        first, second = one_epoch(cached_loader), one_epoch(cached_loader)
    name = 'training pipeline' if augment else 'load and resize'
    print(f'{name:18}  {plain:8.0f}  {filling:8.0f}  {first:8.0f}  {second:8.0f}  '
          f'{second / plain:6.1f}')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--root', help='folder in the layout of SYSU-MM01')
    parser.add_argument('--images', type=int, default=1000)
    parser.add_argument('--workers', type=int, default=0)
    args = parser.parse_args()
    init_default_scope('mmvireid')
    with tempfile.TemporaryDirectory() as folder:
        root = args.root
        if root is None:
            root = folder
            people = -(-args.images // 60) * 2
            make_synthetic(
                Request('sysu', people, images_per_camera=10), folder, workers=1, quiet=True)
        available = len(SYSUMM01(root, split='trainval'))
        images = min(args.images, available)
        print(f'{images} images to {SIZE[0]} x {SIZE[1]}, {args.workers} workers, '
              f'{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}')
        print('images a second     no cache   filling  1st epoch  2nd epoch  ratio')
        for augment in (False, True):
            measure(root, images, args.workers, augment)


if __name__ == '__main__':
    main()
