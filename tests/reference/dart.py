"""DART by naive loops: clean probabilities, the quadruplets of an anchor, a training step."""

import numpy as np
import torch
from torch.nn import functional

MARGIN, THRESHOLD, REDRAWS, SKIPS = 0.3, 0.5, 5, 10


def mixture_of_two(values, max_iter=100, tol=1e-2, reg_covar=5e-4):
    """Probability of the component with the smaller mean, by the textbook's EM."""
    means = np.array([values.min(), values.max()])
    for _ in range(100):  # two means, until they stay
        nearest = np.abs(values[:, None] - means).argmin(1)
        means = np.array([values[nearest == k].mean() for k in range(2)])
    shares, previous = np.eye(2)[nearest], -np.inf
    for _ in range(max_iter):
        joint = joint_densities(values, shares, reg_covar)
        total = np.logaddexp(*joint.T)
        shares = np.exp(joint - total[:, None])
        if abs(total.mean() - previous) < tol:
            break
        previous = total.mean()
    joint = joint_densities(values, shares, reg_covar)
    smaller = (shares.T @ values / shares.sum(0)).argmin()
    return np.exp(joint[:, smaller] - np.logaddexp(*joint.T))


def joint_densities(values, shares, reg_covar):
    """Logarithm of weight times density of both components that shares of the values make."""
    size = shares.sum(0)
    means = shares.T @ values / size
    variance = (shares * (values[:, None] - means)**2).sum(0) / size + reg_covar
    return np.log(size / len(values)) - 0.5 * (
        np.log(2 * np.pi * variance) + (values[:, None] - means)**2 / variance)


def probabilities(views):
    """Clean probability of the losses of several views, each scaled by itself."""
    scaled = [(losses - losses.min()) / (losses.max() - losses.min()) for losses in views]
    found = mixture_of_two(np.concatenate(scaled))
    return np.split(found, len(views))


def first_positive(i, rows, draw):
    """A row of the anchor's label that is not the anchor itself."""
    while (row := draw(rows)) == i:
        pass
    return row


def second_positive(i, rows, confident, draw):
    """A row of the anchor's label, drawn again a few times while it will not do."""
    row = draw(rows)
    for _ in range(REDRAWS):
        if row != i and confident[row]:
            break
        row = draw(rows)
    return row


def second_negative(order, confident):
    """The next confident negative after the nearest, or where the search gives up."""
    place = 1
    while not confident[order[place]] and place < 1 + SKIPS and place < len(order) - 1:
        place += 1
    return order[place]


def quadruplets(distance, logits, ids, prob, draw):
    """Loss, counts and choices of each anchor, one after the other."""
    confident, predicted = prob >= THRESHOLD, logits.argmax(1)
    names = ('branch', 'positive', 'negative', 'positive_2', 'negative_2')
    chosen, hinges, right = {name: np.full(len(ids), -1) for name in names}, [], 0
    for i in np.flatnonzero(np.asarray(confident)):
        rows = np.flatnonzero(ids == ids[i])
        others = np.flatnonzero(ids != ids[i])
        if len(rows) < 2 or not len(others):
            continue
        order = others[np.argsort(distance[i, others].detach().numpy(), kind='stable')]
        p, n = first_positive(i, rows, draw), order[0]
        near, far = distance[i, p], distance[i, n]
        swapped = False
        if confident[p] and (confident[n] or predicted[n] != ids[i]):
            branch = 0 if confident[n] else 1
        elif confident[p]:
            branch = 2
            chosen['negative_2'][i] = second_negative(order, confident)
            near, far = (near + far) / 2, distance[i, chosen['negative_2'][i]]
        elif confident[n] or predicted[n] != ids[i]:
            branch = 3 if confident[n] else 4
            chosen['positive_2'][i] = second_positive(i, rows, confident, draw)
            near, far = distance[i, chosen['positive_2'][i]], (near + far) / 2
        else:
            branch, swapped = 5, True
        for name, row in zip(names, (branch, p, n)):
            chosen[name][i] = row
        right += bool(far >= near)
        hinges.append(((far - near if swapped else near - far) + MARGIN).relu())
    loss = torch.stack(hinges).mean() if hinges else distance.sum() * 0
    return loss, len(hinges), right, chosen


def distances(x):
    return ((x[:, None] - x[None]).square().sum(2)).clamp(min=1e-12).sqrt()


class Draws:
    """Draws a row of a list, and remembers it."""

    def __init__(self, rng):
        self.rng, self.drawn = rng, []

    def __call__(self, rows):
        self.drawn.append(int(self.rng.choice(rows)))
        return self.drawn[-1]


def batch(rng, num_ids=6, images=5, dim=8, clean=0.6):
    """Rows with ids, logits that mostly predict them, and probabilities."""
    ids = np.repeat(np.arange(num_ids), images)
    x = rng.normal(size=(num_ids, dim))[ids] + rng.normal(size=(len(ids), dim))
    logits = 2 * np.eye(num_ids)[rng.permuted(ids)] + rng.normal(size=(len(ids), num_ids))
    prob = np.where(rng.random(len(ids)) < clean, 0.9, 0.1) + 0.05 * rng.random(len(ids))
    return x.astype(np.float32), logits.astype(np.float32), ids, prob.astype(np.float32)


def quadruplet_arrays(rng, prefix, x, logits, ids, prob):
    """Arrays of a batch, with the names of the released results."""
    x, draw = torch.from_numpy(x).requires_grad_(), Draws(rng)
    loss, anchors, right, chosen = quadruplets(distances(x), logits, ids, prob, draw)
    grad, = torch.autograd.grad(loss, x)
    return {f'{prefix}_{name}': np.asarray(value) for name, value in dict(
        x=x.detach().numpy(), logits=logits, ids=ids, prob=prob, loss=loss.detach().numpy(),
        grad=grad.numpy(), num_anchors=anchors, num_right=right,
        draws=np.array(draw.drawn, np.int64), **chosen).items()}


def probability_arrays(rng, case, rate, num_ids=6):
    """Scores of two visible views and infrared images, some with wrong labels."""
    arrays, losses = {}, {}
    for modality, number, views in (('visible', 60, ('visible_1', 'visible_2')),
                                    ('infrared', 40, ('infrared', ))):
        true = rng.integers(num_ids, size=number)
        wrong = rng.random(number) < rate
        label = np.where(wrong, (true + 1) % num_ids, true)
        arrays[f'label_{modality}'], arrays[f'is_noisy_{modality}'] = label, wrong
        for view in views:
            logits = (4 * np.eye(num_ids)[true] + rng.normal(size=(number, num_ids)))
            arrays[f'logits_{view}'] = logits.astype(np.float32)
            losses[view] = functional.cross_entropy(
                torch.from_numpy(arrays[f'logits_{view}']), torch.from_numpy(label),
                reduction='none').double().numpy()
    first, second = probabilities([losses['visible_1'], losses['visible_2']])
    arrays.update(prob_visible_1=first, prob_visible_2=second,
                  prob_infrared=probabilities([losses['infrared']])[0])
    return {f'gmm_{case}_{name}': value for name, value in arrays.items()}


def step_arrays(rng):
    """A training step of everything behind the pooling."""
    x, _, ids, prob = batch(rng)
    pool = torch.from_numpy(np.abs(x)).requires_grad_()
    bn = torch.from_numpy(rng.normal(1, 0.1, x.shape[1]).astype(np.float32)).requires_grad_()
    classifier = torch.from_numpy(
        rng.normal(size=(ids.max() + 1, x.shape[1])).astype(np.float32)).requires_grad_()
    feature = bn * (pool - pool.mean(0)) / (pool.var(0, unbiased=False) + 1e-5).sqrt()
    logits, draw = feature @ classifier.T, Draws(rng)
    loss_id = (torch.from_numpy(prob) * -logits.log_softmax(1)[np.arange(len(ids)), ids]).mean()
    loss_quad, anchors, _, chosen = quadruplets(
        distances(pool), logits.detach().numpy(), ids, prob, draw)
    grads = torch.autograd.grad(loss_id + loss_quad, (pool, bn, classifier))
    return {f'step_{name}': np.asarray(value) for name, value in dict(
        pool=pool.detach(), ids=ids, modality=np.sort(rng.integers(2, size=len(ids))), prob=prob,
        bn_weight=bn.detach(), classifier_weight=classifier.detach(), logits=logits.detach(),
        loss_id=loss_id.detach(), loss_quad=loss_quad.detach(),
        total=(loss_id + loss_quad).detach(), num_anchors=anchors,
        draws=np.array(draw.drawn, np.int64), grad_pool=grads[0], grad_bn_weight=grads[1],
        grad_classifier_weight=grads[2], **chosen).items()}


def inference_arrays(rng, dim=6):
    """Pooled features of two networks, and the similarity of their mean descriptors."""
    pool = {side: rng.normal(size=(n, 2, dim)).astype(np.float32)
            for side, n in (('gallery', 5), ('query', 4))}
    bn = {'weight': rng.normal(1, 0.1, (2, dim)), 'running_mean': rng.normal(size=(2, dim)),
          'running_var': rng.uniform(0.5, 2, (2, dim))}
    bn = {name: value.astype(np.float32) for name, value in bn.items()}
    mean = {}
    for side, rows in pool.items():
        feature = bn['weight'] * (rows - bn['running_mean']) / np.sqrt(bn['running_var'] + 1e-5)
        mean[side] = (feature / np.linalg.norm(feature, axis=2, keepdims=True)).mean(1)
    return {**{f'inf_{side}_pool': rows for side, rows in pool.items()},
            **{f'inf_bn_{name}': value for name, value in bn.items()},
            'inf_similarity': mean['query'] @ mean['gallery'].T}


def noise_arrays(rng, percent):
    arrays = {}
    for modality, number in (('visible', 90), ('infrared', 50)):
        true = np.arange(number) % 9
        rows = np.sort(rng.permutation(number)[:-(-number * percent // 100)])
        noisy = true.copy()
        noisy[rows] = (true[rows] + rng.integers(1, 9, len(rows))) % 9
        arrays.update({f'noise_{percent}_{modality}_true': true,
                       f'noise_{percent}_{modality}_noisy': noisy,
                       f'noise_{percent}_{modality}_index': rows})
    return arrays


def small_case():
    """Everything in the form of the released results, by the loops above."""
    rng = np.random.default_rng(0)
    x, logits, ids, prob = batch(rng)
    return {
        **probability_arrays(rng, 'noisy', 0.3), **probability_arrays(rng, 'half', 0.5),
        **quadruplet_arrays(rng, 'quad_mixed', x, logits, ids, prob),
        **quadruplet_arrays(rng, 'quad_no_anchor', x, logits, ids, np.zeros_like(prob)),
        **step_arrays(rng), **inference_arrays(rng), **noise_arrays(rng, 20),
        **noise_arrays(rng, 50),
    }
