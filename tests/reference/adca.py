"""ADCA's votes in a double loop, and a small case in the form of ``adca.npz``."""

import numpy as np
import torch
from reference.alternating_steps import draw_batch, naive_step
from reference.cluster_memory import NaiveMemory

MEMORY = {'mode': 'mean', 'momentum': 0.1, 'margin': 0, 'mean_update': 'sample'}


def naive_votes(visible, infrared, visible_labels, infrared_labels, threshold=0.5):
    """Votes and the best similarity of each pair of clusters, one pair of images at a time."""
    shape = max(visible_labels, default=-1) + 1, max(infrared_labels, default=-1) + 1
    votes, best = np.zeros(shape, int), np.full(shape, -np.inf)
    for a, v in zip(visible.astype(float), visible_labels):
        for b, i in zip(infrared.astype(float), infrared_labels):
            if v >= 0 and i >= 0 and a @ b >= threshold:
                votes[v, i] += 1
                best[v, i] = max(best[v, i], a @ b)
    return votes, best


def naive_pairs(votes, best):
    """Take the pair with the most votes whose clusters are free, again and again."""
    pairs = []
    while True:
        taken = [{pair[side] for pair in pairs} for side in (0, 1)]
        free = [(votes[v, i], best[v, i], -v, -i)
                for v, i in np.ndindex(votes.shape)
                if votes[v, i] and v not in taken[0] and i not in taken[1]]
        if not free:
            return np.array(pairs, dtype=int).reshape(-1, 2)
        *_, v, i = max(free)
        pairs.append((-v, -i))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def people(rng, num_visible, num_infrared, dim, noise, shift):
    """Features a little shorter than 1, clusters of some people, a few outliers."""
    centres = rng.standard_normal((max(num_visible, num_infrared), dim))
    found = []
    for num in (num_visible, num_infrared):
        y = np.repeat(np.arange(num), 4)
        x = 0.97 * unit(centres[y] + shift * rng.standard_normal(dim)
                        + noise * rng.standard_normal((len(y), dim)))
        outlier = rng.random(len(y)) < 0.1
        outlier[::4] = False  # every cluster keeps an image
        found.append((x.astype(np.float32), np.where(outlier, -1, y)))
    return found


def small_case(dim=12, seed=0):
    """Make arrays in the form of ``adca.npz`` from our own random features."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for case, sizes, noise, shift in (('more', (7, 5), 0.6, 0.5), ('fewer', (4, 6), 0.6, 0.5),
                                      ('sparse', (4, 6), 0.9, 1.2), ('none', (3, 2), 0.3, 20)):
        (x_vis, y_vis), (x_ir, y_ir) = people(rng, *sizes, dim, noise, shift)
        votes, best = naive_votes(x_vis, x_ir, y_vis, y_ir)
        pairs = naive_pairs(votes, best)
        before = {side: unit(np.array([x[y == k].astype(float).mean(0)
                                       for k in range(y.max() + 1)]))
                  for side, x, y in (('vis', x_vis, y_vis), ('ir', x_ir, y_ir))}
        after = {side: rows.copy() for side, rows in before.items()}
        for v, i in pairs:
            after['vis'][v] = 0.1 * before['vis'][v] + 0.9 * before['ir'][i]
        arrays |= {f'cma_{case}_{name}': value for name, value in dict(
            x_vis=x_vis, x_ir=x_ir, y_vis=y_vis, y_ir=y_ir, votes=votes, pairs=pairs,
            mem_vis_before=before['vis'], mem_ir_before=before['ir'],
            mem_vis=after['vis'], mem_ir=after['ir']).items()}

    start = {side: torch.from_numpy(arrays[f'cma_more_mem_{side}']) for side in ('vis', 'ir')}
    memories = {side: NaiveMemory(rows, **MEMORY) for side, rows in start.items()}
    for side, memory in memories.items():
        memory.rows['mean'] = list(start[side].double())  # not scaled to unit length
    for step in (1, 2, 3):
        batch = {side: draw_batch(rng, rows.numpy(), 3, 3, views=2 if side == 'vis' else 1)
                 for side, rows in start.items()}
        x, y = ({side: pair[i] for side, pair in batch.items()} for i in (0, 1))
        arrays |= {f'step_s{step}_{letter}_{side}': pair[i] for side, pair in batch.items()
                   for i, letter in enumerate('xy')}
        arrays |= {f'step_s{step}_{name}': value for name, value in
                   naive_step(memories, x, y).items() if 'gradclean' not in name}
    return {name: np.asarray(value, np.float32) if np.asarray(value).dtype.kind == 'f'
            else np.asarray(value, np.int64) for name, value in arrays.items()}
