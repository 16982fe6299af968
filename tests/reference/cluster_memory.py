"""Cluster memories in plain loops over float64 vectors, and a small case made with them."""

import numpy as np
import torch


def unit(v):
    return v / v.norm()


def cross_entropy(x, label, rows, temperature):
    scores = [x @ row / temperature for row in rows]
    return -scores[label] + torch.logsumexp(torch.stack(scores), 0)


def multi_positive(x, label, rows, groups, temperature, num_candidates):
    scores = [x @ row / temperature for row in rows]
    positives = [k for k in range(len(rows)) if groups[k] == groups[label]]
    others = sorted((k for k in range(len(rows)) if k not in positives),
                    key=lambda k: -scores[k].item())
    kept = positives + others[:max(0, num_candidates - len(positives))]
    total = torch.logsumexp(torch.stack([scores[k] for k in kept]), 0)
    return sum(total - scores[k] for k in positives) / len(positives)


class NaiveMemory:
    """Lists of mean and hard prototypes, one image after the other."""

    def __init__(self, centroids, mode, groups=None, temperature=0.05, momentum=0.1, margin=0.2,
                 num_candidates=50, mean_update='cluster'):
        self.rows = {}
        if mode in ('mean', 'hybrid'):
            self.rows['mean'] = [unit(c) for c in centroids.double()]
        if mode in ('hard', 'hybrid'):
            self.rows['hard'] = [unit(c) for c in centroids.double()]
        self.groups = groups
        self.temperature = temperature
        self.momentum = momentum
        self.margin = margin
        self.num_candidates = num_candidates
        self.mean_update = mean_update

    @property
    def prototypes(self):
        return torch.stack([row for rows in self.rows.values() for row in rows])

    def loss(self, features, labels):
        features = features.double()
        terms = []
        for name, rows in self.rows.items():
            values = []
            for x, label in zip(features, labels.tolist()):
                if label < 0:
                    continue
                if self.groups is None:
                    values.append(cross_entropy(unit(x), label, rows, self.temperature))
                else:
                    values.append(multi_positive(unit(x), label, rows, self.groups.tolist(),
                                                 self.temperature, self.num_candidates))
            term = sum(values) / len(values) if values else 0 * features.sum()
            if name == 'mean' and self.groups is None:
                term = torch.clamp(term - self.margin, min=0)
            terms.append(term)
        return sum(terms) / len(terms)

    def move(self, row, target):
        return unit(self.momentum * row + (1 - self.momentum) * target)

    def update(self, features, labels):
        features = [unit(x) for x in features.double()]
        for k in range(len(next(iter(self.rows.values())))):
            images = [x for x, label in zip(features, labels.tolist()) if label == k]
            if not images:
                continue
            reference = self.rows['mean' if 'mean' in self.rows else 'hard'][k]
            hardest = min(images, key=lambda x: (x @ reference).item())
            if 'mean' in self.rows:
                targets = images
                if self.mean_update == 'cluster':
                    targets = [sum(images) / len(images)]
                for target in targets:
                    self.rows['mean'][k] = self.move(self.rows['mean'][k], target)
            if 'hard' in self.rows:
                self.rows['hard'][k] = self.move(self.rows['hard'][k], hardest)


def loss_and_grad(function, *features):
    """Value of ``function`` and its gradients with respect to ``features``."""
    leaves = [x.detach().clone().requires_grad_() for x in features]
    loss = function(*leaves)
    grads = torch.autograd.grad(loss, leaves)
    return loss.detach(), *grads


def small_case():
    """Make arrays named as in the released results, from our own random features."""
    rng = np.random.default_rng(0)
    arrays = {}

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    for case, spread in (('far', 1.5), ('near', 0.35)):
        for kind, mode, options in (('cmhybrid', 'hybrid', {}),
                                    ('cm', 'mean', {'margin': 0, 'mean_update': 'sample'})):
            prefix = f'intra_{case}_{kind}_'
            centres = normal(7, 16)
            memory = NaiveMemory(centres, mode, **options)
            arrays[prefix + 'mem0'] = memory.prototypes
            for step in (1, 2, 3):
                y = torch.from_numpy(np.repeat(rng.choice(7, 4, replace=False), 5))
                y = y.repeat(2) if step == 3 else y
                x = (centres[y] + spread * normal(len(y), 16)) * 3
                loss, grad = loss_and_grad(lambda v, m=memory, y=y: m.loss(v, y), x)
                memory.update(x, y)
                arrays.update({f'{prefix}x{step}': x, f'{prefix}y{step}': y,
                               f'{prefix}loss{step}': loss, f'{prefix}grad{step}': grad,
                               f'{prefix}mem{step}': memory.prototypes})

    # 24 clusters of both modalities, 6 visible and 4 infrared ones: 58 prototypes.
    groups = torch.from_numpy(np.r_[np.repeat(np.arange(24), 2), np.arange(24, 34)])
    modality = torch.from_numpy(np.r_[np.tile([0, 1], 24), np.zeros(6, int), np.ones(4, int)])
    centres = normal(len(groups), 16)
    memory = NaiveMemory(centres, 'hybrid', groups)
    arrays.update(glb_proxy_label=groups, glb_proxy_mod=modality, glb_mem0=memory.prototypes)
    for step in (1, 2):
        index, x = {}, {}
        for name, m, views in (('vis', 0, 2), ('ir', 1, 1)):
            drawn = rng.choice(np.flatnonzero(modality.numpy() == m), 3, replace=False)
            index[name] = torch.from_numpy(np.repeat(drawn, 4)).repeat(views)
            x[name] = centres[index[name]] + 0.8 * normal(len(index[name]), 16)

        def half_of_both(vis, ir, memory=memory, index=index):
            return 0.5 * (memory.loss(vis, index['vis']) + memory.loss(ir, index['ir']))

        prefix = f'glb_s{step}_'
        loss, grad_vis, grad_ir = loss_and_grad(half_of_both, x['vis'], x['ir'])
        for name in ('vis', 'ir'):
            arrays[f'{prefix}loss_{name}'] = memory.loss(x[name], index[name])
            arrays[f'{prefix}x_{name}'], arrays[f'{prefix}idx_{name}'] = x[name], index[name]
        memory.update(torch.cat([x['vis'], x['ir']]), torch.cat([index['vis'], index['ir']]))
        arrays.update({f'{prefix}loss': loss, f'{prefix}gradclean_vis': grad_vis,
                       f'{prefix}gradclean_ir': grad_ir, f'{prefix}mem_after': memory.prototypes})
    return arrays
