"""Time modality-aware clustering, from features to labels, in units of one product.

The unit is one plain float32 product of the features with themselves, N x N, in blocks of
2,048 rows: what any exact method without tricks pays for its neighbours alone. It is
measured in the same run, before and after the clustering, because a shared machine is not
equally fast at all times. Memory is the peak above what was held once the features were
there: of the process, or of the GPU where the features are on one.

Features are synthetic, 2,048-d: 395 people, more beyond the 34,167 images of SYSU-MM01, its
six cameras and its share of visible images, with offsets of modality, of camera and of both
together with the person, so that the nearest neighbours of an image are nearly always of its
own modality.

    python benchmarks/clustering.py [--sizes 4000 8000 16000 23038 34167] [--device cuda]
    python benchmarks/clustering.py --sizes 1000000 --device cuda --whole-only
"""

import argparse
import os
import platform
import threading
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from mmvireid.clustering import dbscan_labels, jaccard_distance
from mmvireid.search import ivf_topk, self_topk

DIM, NUM_IDS = 2048, 395
#: Images of SYSU-MM01's training set by modality.
VISIBLE, INFRARED = 22258, 11909


def make_features(num, seed=0):
    """Return unit features, modality and identity; visible rows first."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, DIM, generator=generator)

    num_ids = NUM_IDS * max(1, round(num / (VISIBLE + INFRARED)))
    num_visible = round(num * VISIBLE / (VISIBLE + INFRARED))
    modality = torch.zeros(num, dtype=torch.long)
    modality[num_visible:] = 1
    identity = torch.randint(num_ids, (num, ), generator=generator)
    camera = torch.randint(4, (num, ), generator=generator)
    camera[num_visible:] = 4 + camera[num_visible:] % 2
    person, shift, camera_shift = draw(num_ids), draw(2), draw(6)
    person_modality, person_camera = draw(2, num_ids), draw(6, num_ids)
    features = torch.empty(num, DIM)
    for rows in torch.arange(num).split(4096):
        i, m, c = identity[rows], modality[rows], camera[rows]
        part = (person[i] + 0.8 * shift[m] + 0.3 * camera_shift[c] + 0.6 * person_modality[m, i] +
                0.55 * person_camera[c, i] + 0.9 * draw(len(rows)))
        features[rows] = torch.nn.functional.normalize(part, dim=1)
    return features, modality.numpy(), identity.numpy()


class PeakMemory:
    """Watch the memory of the GPU, or the resident memory of this process, for a while."""

    def __init__(self, device):
        self.device = device

    def __enter__(self):
        if self.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(self.device)
            self.start = torch.cuda.memory_allocated(self.device)
            return self
        self.start = self.peak = self.resident()
        self.running = True
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error):
        if self.device.type == 'cuda':
            self.peak = torch.cuda.max_memory_allocated(self.device)
        else:
            self.running = False
            self.thread.join()
        self.gib = (self.peak - self.start) / 2**30

    def watch(self):
        """Note the peak, every two milliseconds."""
        while self.running:
            self.peak = max(self.peak, self.resident())
            time.sleep(0.002)

    @staticmethod
    def resident():
        """Return the resident memory in bytes."""
        pages = int(Path('/proc/self/statm').read_text(encoding='utf-8').split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE')


def timed(features, function):
    """Return wall seconds and the result, with the device's queue empty at both ends."""
    def wait():
        if features.is_cuda:
            torch.cuda.synchronize()

    wait()
    start = time.perf_counter()
    result = function()
    wait()
    return time.perf_counter() - start, result


def print_machine(args, settings):
    """Print what is measured on: of the arguments, the device and the number of threads."""
    machine = platform.processor() or platform.machine()
    if args.device != 'cpu':
        machine = torch.cuda.get_device_name(args.device)
    print(f'{machine}, {args.threads} CPU threads, torch {torch.__version__}, {DIM}-d, {settings}')


def plain_product(features):
    """Multiply the features with themselves in float32, block after block."""
    for start in range(0, len(features), 2048):
        features[start:start + 2048] @ features.T


def count_mixed(labels, modality):
    """Count the clusters with images of both modalities."""
    kept = labels >= 0
    held = [np.bincount(labels[kept & (modality == m)], minlength=labels.max() + 1) > 0
            for m in (0, 1)]
    return int((held[0] & held[1]).sum())


def cluster(features, modality, eps):
    """Run the whole step and return its labels."""
    distance = jaccard_distance(features, modality=modality, max_distance=eps)
    return dbscan_labels(distance, eps=eps)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', type=int, nargs='+', default=[4000, 8000, 16000, 23038, 34167])
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--eps', type=float, default=0.6)
    parser.add_argument(
        '--whole-only', action='store_true',
        help='do not time the product and the search by themselves, which take longer than the '
        'whole on a large set')
    parser.add_argument('--ivf', action='store_true', help='time the approximate search too')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print_machine(args, f'k1 30, k2 6, eps {args.eps}')
    warm, kinds, _ = make_features(4200)
    cluster(warm.to(args.device), kinds, args.eps)  # compiles the kernels
    print('      N   product s   search s    whole s   whole/product   peak GiB   '
          'clusters (mixed) / outliers / ARI')
    for num in args.sizes:
        features, modality, identity = make_features(num)
        features = features.to(args.device)
        before = search = after = float('nan')
        if not args.whole_only:
            before, _ = timed(features, lambda f=features: plain_product(f))
            search, _ = timed(features, lambda f=features, m=modality: self_topk(f, 15, groups=m))
        with PeakMemory(features.device) as memory:
            whole, labels = timed(features,
                                  lambda f=features, m=modality: cluster(f, m, args.eps))
        if not args.whole_only:
            after, _ = timed(features, lambda f=features: plain_product(f))
        product = (before + after) / 2
        mixed = count_mixed(labels, modality)
        print(f'{num:7d} {product:11.2f} {search:10.2f} {whole:10.2f} {whole / product:15.2f} '
              f'{memory.gib:10.2f}   {labels.max() + 1} ({mixed}) / {(labels < 0).sum()} / '
              f'{adjusted_rand_score(identity, labels):.3f}', flush=True)
        if args.ivf:
            seconds, found = timed(features, lambda f=features: ivf_topk(f, f, 30))
            print(f'        approximate (IVF) top-30: {seconds:.2f} s, recall {found[2]:.4f}')


if __name__ == '__main__':
    main()
