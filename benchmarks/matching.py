"""Time what joins the clusters of the two modalities, in units of one product.

The unit is one plain float32 product of the visible with the infrared features of a training
set, in blocks of 2,048 rows: what any comparison of all images pays for its similarities
alone. It is measured in the same run, before and after each part, because a shared machine is
not equally fast at all times. Memory is the peak above what was held once the features were
there: of the process, or of the GPU where the features are on one.

Features are those of benchmarks/clustering.py, as many as SYSU-MM01 has: 22,258 visible and
11,909 infrared images of 395 people, the features of both modalities in one table.

    python benchmarks/matching.py [--threads 2] [--device cuda] [--parts votes matching]
"""

import argparse

import numpy as np
import torch
from clustering import DIM, INFRARED, VISIBLE, PeakMemory, make_features, print_machine, timed

from mmvireid.clustering import (
    ClusterMatch,
    NeighborSoftMemories,
    VoteMatching,
    cluster_positions,
    neighbor_soft_labels,
    progressive_graph_matching,
)
from mmvireid.structures import ImageSet

#: Clusters of SYSU-MM01 in the middle of a training, visible and infrared.
CLUSTERS = 745, 437


def training_set(visible=VISIBLE, infrared=INFRARED, device='cpu'):
    """Return an image set, and clusters of each modality with a few outliers."""
    features, modality, identity = make_features(visible + infrared)
    rng = np.random.default_rng(0)
    # A person falls into about two visible clusters and, now and then, two infrared ones.
    parts = rng.integers(0, 2, len(identity)), rng.random(len(identity)) < 0.05
    clusters = 1000 * np.where(modality == 0, parts[0], 2 + parts[1]) + identity
    clusters[rng.random(len(clusters)) < 0.03] = -1
    images = ImageSet(
        dict(base=features.to(device)), identity=np.full(len(identity), -1),
        camera=modality + 1, modality=modality, sample_idx=np.arange(len(identity)))
    return images, clusters


def plain_product(visible, infrared):
    """Multiply visible with infrared features in float32, block after block."""
    for start in range(0, len(visible), 2048):
        visible[start:start + 2048] @ infrared.T


def votes(images, clusters, threshold):
    """Match clusters by the votes of images."""
    match = VoteMatching(threshold)(images, clusters)
    return f'{match.notes["votes"]} votes, {(match.visible_to_infrared >= 0).sum()} pairs'


def matching(*sizes, device='cpu'):
    """Match random centroids, clusters of one person near to each other."""
    generator = torch.Generator().manual_seed(0)
    people = torch.randn(395, DIM, generator=generator)
    centroids = [people[torch.arange(size) % 395] + torch.randn(size, DIM, generator=generator)
                 for size in sizes]
    match = progressive_graph_matching(*(rows.to(device) for rows in centroids))
    return f'{sizes[0]} x {sizes[1]} clusters, {match.notes["rounds"]} rounds'


def soft_labels(images, clusters):
    """Soften the labels of visible images by their infrared neighbours."""
    visible, infrared = (images[images.modality == m].descriptors['base'] for m in (0, 1))
    labels = cluster_positions(clusters, images.modality == 1)[images.modality == 1]
    soft = neighbor_soft_labels(visible, infrared, labels)
    return f'{soft.nnz} entries of {soft.shape[0]} x {soft.shape[1]}'


def soft_targets(images, clusters):
    """Plan an epoch with the neighbours of all images in both modalities."""
    sizes = [cluster_positions(clusters, images.modality == m).max() + 1 for m in (0, 1)]
    match = ClusterMatch(*(np.zeros(size, dtype=np.int64) for size in sizes))
    planned = NeighborSoftMemories()(images, clusters, clusters, match)
    return f'{sum(term.soft_targets.nnz for term in planned.terms)} entries in all'


#: Part of the table -> what is timed, given images, clusters and device.
PARTS = {
    # Images of a person in these features have a similarity of about 0.3 across modalities.
    'votes': lambda images, clusters, device: votes(images, clusters, 0.25),
    # The worst case: each pair of images is a vote.
    'votes of all pairs': lambda images, clusters, device: votes(images, clusters, -2.0),
    'soft labels': lambda images, clusters, device: soft_labels(images, clusters),
    'soft targets of an epoch': lambda images, clusters, device: soft_targets(images, clusters),
    'matching': lambda images, clusters, device: matching(*CLUSTERS, device=device),
    'matching, many rounds': lambda images, clusters, device: matching(745, 150, device=device),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--rounds', type=int, default=1, help='measure each part so often')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print_machine(args, f'{VISIBLE} x {INFRARED} images')
    warm = training_set(600, 300, args.device)
    for part in args.parts:
        PARTS[part](*warm, args.device)  # compiles the kernels
    images, clusters = training_set(device=args.device)
    features = images.descriptors['base']
    visible, infrared = (features[torch.from_numpy(images.modality == m).to(features.device)]
                         for m in (0, 1))

    def product():
        return timed(features, lambda: plain_product(visible, infrared))[0]

    print(f'{"part":<24}{"product s":>10}{"part s":>9}{"part/product":>14}{"peak MiB":>10}')
    for part in args.parts:
        for _ in range(args.rounds):
            before = product()
            with PeakMemory(features.device) as memory:
                seconds, found = timed(
                    features, lambda p=part: PARTS[p](images, clusters, args.device))
            unit = (before + product()) / 2
            print(f'{part:<24}{unit:10.2f}{seconds:9.2f}{seconds / unit:14.2f}'
                  f'{1024 * memory.gib:10.0f}   {found}', flush=True)


if __name__ == '__main__':
    main()
