"""Compare the kinds of gallery index: recall@1 and queries a second against exact search.

Recall@1 is the share of queries whose first row is the first row of the exact search; of two
images of one person that lie equally near an index may find the other, so the share of
queries whose first image is of the right person stands beside it. All indexes are searched as
a user would: saved, loaded again, mapped from disk, 1,000 queries at once. Building is
training, adding and saving. Memory is by how much the process grew at most, while it built
(with the batch of 20,000 that is drawn, and the sample for training) and while it searched.

Features are synthetic unit vectors: 20 visible images of each person from four cameras in the
gallery, infrared queries of the same people, with offsets of modality and of camera, as in
benchmarks/clustering.py.

    python benchmarks/gallery_index.py [--sizes 100000 1000000] [--dim 512] [--kinds torch ivf]
"""

import argparse
import os
import platform
import re
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np
import torch

from mmvireid.search import INDEX_KINDS, GalleryIndex

BLOCK = 20000
PEAK_RESET = Path('/proc/self/clear_refs')


class People:
    """Draw descriptors of people, a block at a time, so that they never are all in memory."""

    def __init__(self, num, dim, seed=0):
        self.num, self.dim = num, dim
        self.generator = torch.Generator().manual_seed(seed)
        self.person = self.draw(max(1, num // 20))
        self.shift, self.camera_shift = self.draw(2), self.draw(6)

    def draw(self, rows):
        """Return normal numbers of shape (rows, dim)."""
        return torch.randn(rows, self.dim, generator=self.generator)

    def images(self, identity, modality):
        """Return unit descriptors and cameras of one image for each identity."""
        camera = torch.randint(4, (len(identity), ), generator=self.generator)
        if modality == 1:
            camera = 4 + camera % 2
        rows = (self.person[identity] + 0.8 * self.shift[modality] +
                0.3 * self.camera_shift[camera] + 1.1 * self.draw(len(identity)))
        return torch.nn.functional.normalize(rows, dim=1), camera

    def blocks(self):
        """Yield the gallery: descriptors, identities and cameras, the same at every call."""
        self.generator.manual_seed(1)
        order = torch.randperm(self.num, generator=self.generator) % len(self.person)
        for identity in order.split(BLOCK):
            rows, camera = self.images(identity, 0)
            yield rows, identity, camera

    def queries(self, num):
        """Return queries and their identities."""
        self.generator.manual_seed(2)
        identity = torch.randint(len(self.person), (num, ), generator=self.generator)
        return self.images(identity, 1)[0], identity.numpy()


def settings(kind, num):
    """Return the options to build a kind with, and those to search it with, one after another."""
    lists = int(2 * num**0.5)
    if kind in ('ivf', 'ivfpq'):
        return {'num_lists': lists}, [{'num_probes': lists // part} for part in (64, 16, 4)]
    if kind == 'hnsw':
        return {'ef_construction': 100}, [{'ef_search': width} for width in (32, 128, 512)]
    return {}, [{}]


def resident(name):
    """Return a number of MiB from the process's own account: 'VmRSS' now, 'VmHWM' at most."""
    status = Path('/proc/self/status').read_text(encoding='utf-8')
    return int(re.search(rf'{name}:\s+(\d+) kB', status)[1]) / 1024


class Peak:
    """Measure by how many MiB the memory of this process grows at most, where Linux tells.

    What is mapped from files counts while it is there, though it can be dropped at any time.
    """

    def __init__(self):
        self.known = os.access(PEAK_RESET, os.W_OK)
        if self.known:
            PEAK_RESET.write_text('5', encoding='utf-8')
            self.before = resident('VmRSS')

    def __str__(self):
        return f'{resident("VmHWM") - self.before:.0f}' if self.known else '-'


def build(kind, people, folder, device, clock):
    """Build and save an index; return the seconds, without those that drew the descriptors."""
    options, _ = settings(kind, people.num)
    index = GalleryIndex.create(people.dim, kind, folder=folder, device=device, **options)
    seconds = 0
    if index.needs_training:
        needed, sample = 64 * options['num_lists'], []
        for rows, _, _ in people.blocks():
            sample.append(rows)
            if sum(map(len, sample)) >= needed:
                break
        sample = torch.cat(sample)[:needed]
        start = clock()
        index.train(sample)
        seconds += clock() - start
    index.reserve(people.num)
    for rows, identity, camera in people.blocks():
        start = clock()
        index.add(rows, identity=identity, camera=camera, modality=np.zeros(len(rows), int))
        seconds += clock() - start
    start = clock()
    index.save()
    return seconds + clock() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', type=int, nargs='+', default=[100000, 1000000])
    parser.add_argument('--dim', type=int, default=512)
    parser.add_argument('--queries', type=int, default=1000)
    parser.add_argument('--kinds', nargs='+', choices=list(INDEX_KINDS), default=list(INDEX_KINDS))
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=3, help='the best time is printed')
    parser.add_argument('--device', default='cpu', help='the graph is searched on the CPU only')
    parser.add_argument('--shared', action='store_true',
                        help='count seconds of the processor instead of the wall clock, on one '
                        'thread: for a machine that does other work too')
    args = parser.parse_args()
    clock = time.process_time if args.shared else time.perf_counter
    threads = 1 if args.shared else args.threads
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    machine = platform.processor() or platform.machine()
    if args.device != 'cpu':
        machine = torch.cuda.get_device_name(args.device)
    print(f'{machine}, {threads} CPU threads, torch {torch.__version__}, faiss '
          f'{faiss.__version__}, {args.dim}-d, {args.queries} queries, seconds of the '
          f'{"processor" if args.shared else "clock"}')
    print('     rows  kind   build s  build MiB  MiB on disk  searched with       queries/s  '
          'search MiB  recall@1  right person')
    kinds = ['torch', *(kind for kind in args.kinds if kind != 'torch')]
    for num in args.sizes:
        people = People(num, args.dim)
        queries, identity = people.queries(args.queries)
        for kind in kinds:
            device = 'cpu' if kind == 'hnsw' else args.device
            with tempfile.TemporaryDirectory() as folder:
                peak = Peak()
                seconds = build(kind, people, folder, device, clock)
                built = str(peak)
                size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20
                peak = Peak()
                index = GalleryIndex.load(folder, device=device)
                for options in settings(kind, num)[1]:
                    if options:
                        index.configure(**options)
                    index.search(queries[:10], 10)  # compiles, reads the file
                    fastest = float('inf')
                    for _ in range(args.repeats):
                        start = clock()
                        _, rows = index.search(queries, 10)
                        fastest = min(fastest, clock() - start)
                    if kind == 'torch':
                        exact = rows
                    recall = float((rows[:, 0] == exact[:, 0]).float().mean())
                    right = float((index.info(rows[:, 0]).identity == identity).mean())
                    chosen = ', '.join(f'{name} {value}' for name, value in options.items())
                    print(f'{num:9d}  {kind:5s} {seconds:8.1f} {built:>10s} {size:12.0f}  '
                          f'{chosen:18s} {len(queries) / fastest:10.0f} {peak!s:>11s} '
                          f'{recall:9.3f} {right:13.3f}', flush=True)


if __name__ == '__main__':
    main()
