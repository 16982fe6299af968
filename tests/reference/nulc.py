"""N-ULC in plain loops: soft labels, weights, and a small case."""

import numpy as np
import torch
from reference.alternating_steps import Part, take_step
from reference.cluster_memory import NaiveMemory
from reference.rpnr import cosine


def naive_soft_labels(features, reference, labels, num_neighbors, num_clusters):
    soft = np.zeros((len(features), num_clusters))
    for row, x in zip(soft, np.asarray(features, np.float64)):
        order = sorted(range(len(reference)), key=lambda j: (-cosine(x, reference[j]), j))
        near = set(order[:num_neighbors])
        for cluster in range(num_clusters):
            members = {j for j, own in enumerate(labels) if own == cluster}
            row[cluster] = len(near & members) / len(near | members)
        if row.sum():
            row /= row.sum()
    return soft


def naive_weights(soft, targets, scale=10.0):
    return np.array([np.exp(-scale * (1 - row[t])**2) if t >= 0 else 0
                     for row, t in zip(soft, targets)])


def small_case(seed=0, dim=8):
    """Make arrays in the form of ``nulc.npz`` from random features."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    sides = 'vis', 'ir'
    other = dict(vis='ir', ir='vis')
    person = dict(vis=np.repeat(np.arange(5), 6), ir=np.repeat(np.arange(3), 5))
    centres = normal(5, dim)
    arrays, x, y, means = {'num_neighbors': np.array([7, 4])}, {}, {}, {}
    for side in sides:
        x[side] = 2 * centres[person[side]] + normal(len(person[side]), dim)
        y[side] = person[side].copy()
        y[side][[3, 8]] = -1
        y[side][4] = 1
        means[side] = np.array([x[side][y[side] == c].mean(0) for c in range(y[side].max() + 1)])
        arrays |= {f'x_{side}': x[side], f'y_{side}': y[side], f'centroids_{side}': means[side]}
    # By hand what the matching of five with three clusters finds: everybody's own person, and
    # in a second round whom the two that are left over go to.
    costs = np.exp([[-cosine(v, i) for i in means['ir']] for v in means['vis']])
    left = min(((a, b) for a in range(3) for b in range(3) if a != b),
               key=lambda pair: costs[3, pair[0]] + costs[4, pair[1]])
    match = dict(vis=np.r_[0, 1, 2, left], ir=np.arange(3))
    arrays |= dict(v2i=match['vis'], i2v=match['ir'])

    def soft_and_weight(side, where, k, labels):
        soft = naive_soft_labels(x[side], x[where], labels, k, labels.max() + 1)
        targets = y[side] if where == side else np.where(
            y[side] >= 0, match[side][y[side]], -1)
        return soft, naive_weights(soft, targets), torch.from_numpy(targets)

    plans = {}
    for k in arrays['num_neighbors'].tolist():
        for side in sides:
            for name, where in ((side, side), (f'{side}_cross', other[side])):
                soft, weight, targets = soft_and_weight(side, where, k, y[where])
                arrays |= {f'k{k}_{name}_soft': soft, f'k{k}_{name}_weight': weight}
                plans.setdefault(name, (torch.from_numpy(soft), torch.from_numpy(weight), targets))

    # Whoever is near visible image 0 gets no cluster.
    k, row = int(arrays['num_neighbors'][1]), 0
    near = sorted(range(len(x['ir'])), key=lambda j: -cosine(x['vis'][row], x['ir'][j]))[:k]
    labels = y['ir'].copy()
    labels[near] = -1
    labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)[1]
    soft, weight, _ = soft_and_weight('vis', 'ir', k, np.append(labels, 2)[:-1])
    isnan = soft.sum(1) == 0
    arrays |= dict(novote_y_ir=labels, novote_row=np.int64(row), novote_isnan=isnan,
                   novote_soft=np.where(isnan[:, None], np.nan, soft),
                   novote_weight=np.where(isnan, np.nan, weight))

    batches = []
    for step in (1, 2):
        features, rows = {}, {}
        for side, clusters, views in (('vis', 3, 2), ('ir', 2, 1)):
            drawn = rng.choice(len(means[side]), clusters, replace=False)
            rows[side] = np.tile(np.concatenate(
                [rng.choice(np.flatnonzero(y[side] == c), 2) for c in drawn]), views)
            features[side] = torch.from_numpy(
                x[side][rows[side]] + 0.5 * normal(len(rows[side]), dim))
            arrays |= {f'step_s{step}_x_{side}': features[side].numpy(),
                       f'step_s{step}_rows_{side}': rows[side]}
        batches.append((features, rows))
    for parity, crossing in (('even', 'vis'), ('odd', 'ir')):
        memories = {side: NaiveMemory(
            torch.from_numpy(means[side]), 'mean', momentum=0.2, margin=0, mean_update='sample')
            for side in sides}

        def part(name, weight, side, memory, plan, rows, memories=memories):
            soft, weights, targets = (values[rows[side]] for values in plans[plan])
            hard = torch.nn.functional.one_hot(targets, soft.shape[1])
            return Part(name, weight, side, memories[memory], targets, dict(
                soft_labels=0.7 * hard + 0.3 * soft, weights=weights))

        for step, (features, rows) in enumerate(batches, 1):
            arrays |= {f'step_{parity}_s{step}_{name}': value for name, value in take_step([
                part('cross', 3, crossing, other[crossing], f'{crossing}_cross', rows),
                part('vis', 1, 'vis', 'vis', 'vis', rows),
                part('ir', 1, 'ir', 'ir', 'ir', rows)], features).items()}
            arrays |= {f'step_{parity}_s{step}_mem_{side}': memory.prototypes.float().numpy()
                       for side, memory in memories.items()}
    return arrays
