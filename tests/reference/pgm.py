"""PGM's matching by trying all assignments, and a small case in the form of ``pgm.npz``."""

from itertools import permutations

import numpy as np
import torch
from reference.alternating_steps import draw_batch, naive_step
from reference.cluster_memory import NaiveMemory

#: Kind of memory -> its options, as the release has them in the stages of its datasets.
MEMORIES = {'hard': {'mode': 'hard', 'momentum': 0.2, 'margin': 0},
            'sample': {'mode': 'mean', 'momentum': 0.2, 'margin': 0, 'mean_update': 'sample'}}


def costs(visible, infrared):
    unit = [[row / np.sqrt((row * row).sum()) for row in rows.astype(np.float64)]
            for rows in (visible, infrared)]
    return np.array([[np.exp(-(v * i).sum()) for i in unit[1]] for v in unit[0]])


def cheapest_pairs(cost):
    """Pairs (row, column) of the cheapest one-to-one assignment, by trying all of them."""
    if cost.shape[0] > cost.shape[1]:
        return sorted((row, column) for column, row in cheapest_pairs(cost.T))
    rows = range(cost.shape[0])
    return list(enumerate(min(
        permutations(range(cost.shape[1]), len(rows)),
        key=lambda columns: sum(cost[row, columns[row]] for row in rows))))


def naive_matching(visible, infrared):
    """Both maps and the number of rounds."""
    cost = costs(visible, infrared)
    if len(infrared) > len(visible):
        larger, smaller, rounds = naive_matching(infrared, visible)
        return smaller, larger, rounds
    larger, smaller, rounds = np.full(len(cost), -1), np.full(cost.shape[1], -1), 0
    while -1 in larger:
        left = [row for row in range(len(cost)) if larger[row] == -1]
        for row, column in cheapest_pairs(cost[left]):
            larger[left[row]] = column
            if rounds == 0:
                smaller[column] = left[row]
        rounds += 1
    return larger, smaller, rounds


def released_matching(visible, infrared, pairs_of, mirrored):
    """Two rounds, of which the second is numbered by position; as PGM's scripts do it."""
    cost = costs(visible, infrared)
    if len(infrared) > len(visible):
        if not mirrored:
            return np.full(len(visible), -1), np.full(len(infrared), -1)
        larger, smaller = released_matching(infrared, visible, pairs_of, mirrored)
        return smaller, larger
    larger, smaller = np.full(len(cost), -1), np.full(cost.shape[1], -1)
    for row, column in pairs_of(cost):
        larger[row], smaller[column] = column, row
    left = [row for row in range(len(cost)) if larger[row] == -1]
    if left:
        for position, (_, column) in enumerate(pairs_of(cost[left])):
            larger[left[position]] = column
    return larger, smaller


def small_case(dim=12, seed=0):
    """Make arrays in the form of ``pgm.npz`` from our own random centroids."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for case, (kv, ki) in dict(more=(5, 4), equal=(4, 4), fewer=(3, 5), double=(7, 3),
                               triple=(7, 2), fewer_double=(2, 5)).items():
        sides = [rng.standard_normal((num, dim)).astype(np.float32) for num in (kv, ki)]
        v2i, i2v, rounds = naive_matching(*sides)
        prefix = f'match_{case}_'
        arrays |= {f'{prefix}vis': sides[0], f'{prefix}ir': sides[1], f'{prefix}v2i': v2i,
                   f'{prefix}i2v': i2v, f'{prefix}num_rounds': np.int64(rounds)}
        for script in ('sysu', 'regdb'):
            maps = released_matching(*sides, cheapest_pairs, mirrored=script == 'regdb')
            arrays |= {f'{prefix}v2i_{script}_script': maps[0],
                       f'{prefix}i2v_{script}_script': maps[1]}

    centroids = {'vis': rng.standard_normal((5, dim)), 'ir': rng.standard_normal((4, dim))}
    v2i, i2v, _ = naive_matching(centroids['vis'], centroids['ir'])
    arrays |= {'accl_vis': centroids['vis'], 'accl_ir': centroids['ir'],
               'accl_v2i': v2i, 'accl_i2v': i2v}
    batches = []
    for step in (1, 2, 3):
        batch = {'vis': draw_batch(rng, centroids['vis'], 3, 3, views=2),
                 'ir': draw_batch(rng, centroids['ir'], 3, 3)}
        batches.append([{side: pair[i] for side, pair in batch.items()} for i in (0, 1)])
        arrays |= {f'accl_s{step}_{letter}_{side}': pair[i] for side, pair in batch.items()
                   for i, letter in enumerate('xy')}
    for kind, options in MEMORIES.items():
        for parity, crossing, partners in (('even', 'vis', v2i), ('odd', 'ir', i2v)):
            memories = {side: NaiveMemory(torch.from_numpy(rows), **options)
                        for side, rows in centroids.items()}
            for step, (x, y) in enumerate(batches, 1):
                arrays |= {f'accl_{kind}_{parity}_s{step}_{name}': value for name, value in
                           naive_step(memories, x, y, crossing,
                                      torch.from_numpy(partners)).items()}
    return {name: np.asarray(value, np.float32) if np.asarray(value).dtype.kind == 'f'
            else np.asarray(value) for name, value in arrays.items()}
