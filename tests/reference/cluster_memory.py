"""Cluster memories in plain loops over float64 vectors, and a small case made with them."""

import numpy as np
import torch


def unit(v):
    return v / v.norm()


def scores_of(x, rows, values, temperature):
    """Scores with the values of some rows and the gradient of others."""
    return [(x @ row if value is row else x @ row + x.detach() @ (value - row)) / temperature
            for row, value in zip(rows, values)]


def cross_entropy(scores, label):
    return -scores[label] + torch.logsumexp(torch.stack(scores), 0)


def multi_positive(scores, label, groups, num_candidates):
    positives = [k for k in range(len(scores)) if groups[k] == groups[label]]
    others = sorted((k for k in range(len(scores)) if k not in positives),
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

    def loss(self, features, labels, values_of=None, soft_labels=None, weights=None):
        """Value of the prototypes ``values_of``, gradient through those of the memory."""
        features = features.double()
        terms = []
        for name, rows in self.rows.items():
            values = []
            for i, (x, label) in enumerate(zip(features, labels.tolist())):
                if label < 0:
                    continue
                scores = scores_of(unit(x), rows, (values_of or self.rows)[name],
                                   self.temperature)
                if self.groups is not None:
                    value = multi_positive(scores, label, self.groups.tolist(),
                                           self.num_candidates)
                elif soft_labels is not None:
                    value = sum(share.double() * cross_entropy(scores, k)
                                for k, share in enumerate(soft_labels[i]))
                else:
                    value = cross_entropy(scores, label)
                values.append(value if weights is None else weights[i].double() * value)
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


def small_case(num_clusters=7, num_joint=24, num_visible=6, num_infrared=4, dim=16, seed=0):
    """Make arrays in the form of ``bmil_losses.npz`` from our own random features."""
    rng = np.random.default_rng(seed)
    arrays = {}

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    for case, spread in (('far', 1.5), ('near', 0.35)):
        for kind, mode, options in (('cmhybrid', 'hybrid', {}),
                                    ('cm', 'mean', {'margin': 0, 'mean_update': 'sample'})):
            prefix = f'intra_{case}_{kind}_'
            centres = normal(num_clusters, dim)
            memory = NaiveMemory(centres, mode, **options)
            arrays[prefix + 'mem0'] = memory.prototypes
            for step in (1, 2, 3):
                y = torch.from_numpy(np.repeat(rng.choice(num_clusters, 4, replace=False), 5))
                y = y.repeat(2) if step == 3 else y
                x = (centres[y] + spread * normal(len(y), dim)) * 3
                loss, grad = loss_and_grad(lambda v, m=memory, y=y: m.loss(v, y), x)
                memory.update(x, y)
                arrays.update({f'{prefix}x{step}': x, f'{prefix}y{step}': y,
                               f'{prefix}loss{step}': loss, f'{prefix}grad{step}': grad,
                               f'{prefix}mem{step}': memory.prototypes})

    groups = torch.from_numpy(np.r_[
        np.repeat(np.arange(num_joint), 2), num_joint + np.arange(num_visible + num_infrared)])
    modality = torch.from_numpy(np.r_[
        np.tile([0, 1], num_joint), np.zeros(num_visible, int), np.ones(num_infrared, int)])
    centres = normal(len(groups), dim)
    memory = NaiveMemory(centres, 'hybrid', groups)
    arrays.update(glb_proxy_label=groups, glb_proxy_mod=modality, glb_mem0=memory.prototypes)
    for step in (1, 2):
        index, x = {}, {}
        for name, m, views in (('vis', 0, 2), ('ir', 1, 1)):
            drawn = rng.choice(np.flatnonzero(modality.numpy() == m), 3, replace=False)
            index[name] = torch.from_numpy(np.repeat(drawn, 4)).repeat(views)
            x[name] = centres[index[name]] + 0.8 * normal(len(index[name]), dim)
        prefix = f'glb_s{step}_'
        losses = {}
        for name in ('vis', 'ir'):
            losses[name], grad = loss_and_grad(
                lambda v, y=index[name], m=memory: m.loss(v, y), x[name])
            arrays.update({f'{prefix}loss_{name}': losses[name],
                           f'{prefix}x_{name}': x[name], f'{prefix}idx_{name}': index[name],
                           f'{prefix}gradclean_{name}': grad / 2})
        arrays[f'{prefix}loss'] = (losses['vis'] + losses['ir']) / 2
        # The release moves the visible prototypes before it forms the infrared gradient.
        before = memory.rows
        memory.rows = {name: list(rows) for name, rows in before.items()}
        memory.update(x['vis'], index['vis'])
        _, grad = loss_and_grad(
            lambda v, y=index['ir'], b=before, m=memory: m.loss(v, y, values_of=b), x['ir'])
        memory.update(x['ir'], index['ir'])
        arrays.update({f'{prefix}grad_vis': arrays[f'{prefix}gradclean_vis'],
                       f'{prefix}grad_ir': grad / 2, f'{prefix}mem_after': memory.prototypes})
    return {name: value.float().numpy() if value.is_floating_point() else value.numpy()
            for name, value in arrays.items()}
