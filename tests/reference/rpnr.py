"""RPNR in plain loops: calibration, transport, neighbour relations, and a small case."""

import numpy as np
import torch
from reference.alternating_steps import Part, take_step
from reference.cluster_memory import NaiveMemory


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def naive_density(features, labels, threshold=0.5):
    """Images of the cluster that are alike, less those that are not; 0 for outliers."""
    return np.array([
        sum(int(np.sign(cosine(x, other) - threshold))
            for other, its in zip(features, labels) if its == own) if own >= 0 else 0
        for x, own in zip(features, labels)])


def naive_calibration(features, labels, num_reliable, threshold=0.5):
    features = np.asarray(features, np.float64)
    density = naive_density(features, labels, threshold)
    prototypes = []
    for cluster in range(max(labels) + 1):
        members = [i for i, own in enumerate(labels) if own == cluster]
        densest = sorted(members, key=lambda i: (-density[i], i))[:num_reliable]
        prototypes.append(sum(features[i] for i in densest) / len(densest))
    nearest = [max(range(len(prototypes)), key=lambda c, x=x: cosine(x, prototypes[c]))
               for x in features]
    return np.where(np.asarray(labels) >= 0, nearest, -1), np.array(prototypes), density


def naive_transport(visible, infrared, reg=5.0, iterations=101):
    """Sinkhorn's algorithm as a product of scalings, without logarithms."""
    kernel = np.exp([[-np.exp(-cosine(v, i)) / reg for i in infrared] for v in visible])
    left = np.ones(len(visible))
    for _ in range(iterations):
        right = 1 / len(infrared) / (kernel.T @ left)
        left = 1 / len(visible) / (kernel @ right)
    return left[:, None] * kernel * right


def naive_neighbor_relation(features, sigma=1.0, delta=1.0):
    total, num = 0, len(features)
    for i in range(num):
        distances = [(features[i] - features[j]).norm() if i != j else 0 for j in range(num)]
        mean = sum(distances) / num
        for j in range(num):
            if i != j:
                s = distances[j] / mean
                w = torch.exp(-distances[j].detach()**2 / sigma)
                total = total + w * s**2 + (1 - w) * torch.clamp(delta - s, min=0)**2
    return total / num / (num - 1)


def small_case(seed=0, dim=8):
    """Make arrays in the form of ``rpnr.npz`` from random features."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    arrays = {}
    for number, sizes in ((6, (9, 12, 4, 7)), (3, (5, 4, 6))):
        person = np.repeat(np.arange(len(sizes)), sizes)
        x = 3 * normal(len(sizes), dim)[person] + normal(len(person), dim)
        y = person.copy()
        y[1] = 1
        # The last cluster is made of two people, and loses both; then there are outliers.
        x = np.concatenate([x, x[[0, sizes[0]]], normal(3, dim)])
        y = np.concatenate([y, 2 * [len(sizes)], 3 * [-1]])
        labels, prototypes, density = naive_calibration(x, y, number)
        assert len(sizes) not in labels
        arrays |= {f'npc_top{number}_{name}': value for name, value in dict(
            x=x, y=y, labels=labels, prototypes=prototypes, density=density,
            centroids=np.array([x[y == c].mean(0) for c in range(y.max() + 1)])).items()}

    for case, (kv, ki) in dict(more=(6, 4), fewer=(3, 5)).items():
        visible, infrared = 2 * normal(kv, dim), 3 * normal(ki, dim)
        plan = naive_transport(visible, infrared)
        i2v = plan.argmax(0)
        hybrid = (infrared + visible[i2v]) / 2
        hybrid[ki - 2] = 0
        arrays |= {f'otpm_{case}_{name}': value for name, value in dict(
            vis=visible, ir=infrared, plan=plan, v2i=plan.argmax(1), i2v=i2v, hybrid=hybrid,
            emptied=np.int64(ki - 2)).items()}

    for case, x in dict(unit=normal(9, dim) / 3, bn=30 * normal(9, dim)).items():
        arrays[f'nrl_{case}_x'] = x
        leaf = torch.from_numpy(x).double().requires_grad_()
        loss = naive_neighbor_relation(leaf)
        grad, = torch.autograd.grad(loss, leaf)
        for suffix, kind in (('', np.float32), ('64', np.float64)):
            arrays[f'nrl_{case}_loss{suffix}'] = loss.detach().numpy().astype(kind)
            arrays[f'nrl_{case}_grad{suffix}'] = grad.numpy().astype(kind)

    centroids = {side: torch.from_numpy(arrays[f'otpm_more_{side}']) for side in ('vis', 'ir')}
    v2i, i2v = (torch.from_numpy(arrays[f'otpm_more_{name}']) for name in ('v2i', 'i2v'))
    centroids['hybrid'] = (centroids['ir'] + centroids['vis'][i2v]) / 2
    arrays['step_hybrid'] = centroids['hybrid'].numpy()
    batches = []
    for step in (1, 2):
        x, y = {}, {}
        for side, clusters, views in (('vis', 3, 2), ('ir', 2, 1)):
            drawn = rng.choice(len(centroids[side]), clusters, replace=False)
            y[side] = torch.from_numpy(np.repeat(drawn, 2)).repeat(views)
            x[side] = centroids[side][y[side]] + torch.from_numpy(normal(len(y[side]), dim))
            arrays |= {f'step_s{step}_x_{side}': x[side].numpy(),
                       f'step_s{step}_y_{side}': y[side].numpy()}
        batches.append((x, y))
    for parity, crossing in (('even', 'vis'), ('odd', 'ir')):
        memories = {name: NaiveMemory(rows, 'hybrid') for name, rows in centroids.items()}
        for step, (x, y) in enumerate(batches, 1):
            partner = v2i[y['vis']] if parity == 'even' else i2v[y['ir']]
            parts = [
                Part('hybrid', 0.5, crossing, memories['hybrid'],
                     partner if parity == 'even' else y['ir']),
                Part('cross', 0.25, crossing, memories['ir' if parity == 'even' else 'vis'],
                     partner),
                Part('vis', 1, 'vis', memories['vis'], y['vis']),
                Part('ir', 1, 'ir', memories['ir'], y['ir']),
                *(Part(f'nrl_{side}', 10, side, None, naive_neighbor_relation) for side in x)]
            arrays |= {f'step_{parity}_s{step}_{name}': value
                       for name, value in take_step(parts, x).items()}
            arrays |= {f'step_{parity}_s{step}_mem_{name}': memory.prototypes.float().numpy()
                       for name, memory in memories.items()}
    return arrays
