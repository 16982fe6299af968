"""Metric losses in plain loops over float64 scalars, as their papers write them.

Also a small case of the triplet losses in the form of ``triplet.npz``.
"""

import numpy as np
import torch


def as_double(x):
    return x.double()


def euclidean(a, b):
    square = (a * a).sum() + (b * b).sum() - 2 * (a * b).sum()
    return square.clamp(min=1e-12).sqrt()


def naive_triplet(x, ids, margin=0.3):
    x = as_double(x)
    total = x.new_zeros(())
    for i in range(len(x)):
        positive = max(euclidean(x[i], x[j]) for j in range(len(x)) if ids[j] == ids[i])
        negative = min(euclidean(x[i], x[j]) for j in range(len(x)) if ids[j] != ids[i])
        total = total + torch.clamp(positive - negative + margin, min=0)
    return total / len(x)


def naive_weighted_triplet(x, ids, squared=False):
    x = as_double(x)
    total = x.new_zeros(())
    for i in range(len(x)):
        means = []
        for sign, wanted in ((1, True), (-1, False)):
            every = [euclidean(x[i], x[j]) for j in range(len(x))]
            chosen = [d for j, d in enumerate(every) if bool(ids[j] == ids[i]) is wanted]
            # Entries that are left out count as zero in the largest exponent.
            largest = max(sign * d for d in chosen)
            if len(chosen) < len(x):
                largest = max(largest, x.new_zeros(()))
            weights = [torch.exp(sign * d - largest) for d in chosen]
            means.append(sum(w * d for w, d in zip(weights, chosen)) / (sum(weights) + 1e-6))
        p, n = means
        if squared:
            y = -1 if p > n else 1
            exponent = torch.clamp((p - n)**2, max=88)
            total = total + torch.log1p(torch.exp(-y * exponent))
        else:
            total = total + torch.log1p(torch.exp(p - n))
    return total / len(x)


def centre(z, ids, modality, identity, wanted):
    rows = [z[i] for i in range(len(z)) if ids[i] == identity and modality[i] == wanted]
    return sum(rows) / len(rows)


def kl(p, q):
    """KL(p || q) whose first argument has no gradient."""
    p = p.detach()
    return sum(p[c] * (torch.log(p[c].clamp(min=1e-9)) - torch.log(q[c].clamp(min=1e-9)))
               for c in range(len(p)))


def naive_hetero_center_cluster(x, ids, modality, distance, margin=None):
    x = as_double(x)
    if distance == 'kl':
        x = torch.softmax(x, 1)
        margin = 6.0 if margin is None else margin
    else:
        margin = 0.6 if margin is None else margin
    groups = sorted({(int(i), int(m)) for i, m in zip(ids, modality)})
    centres = {group: centre(x, ids, modality, *group) for group in groups}

    def d(z, m):
        return kl(m, z) + kl(z, m) if distance == 'kl' else euclidean(z, m)

    pull, push = [], []
    for i in range(len(x)):
        for (identity, m), c in centres.items():
            if identity != int(ids[i]):
                push.append(torch.clamp(margin - d(x[i], c), min=0))
            elif m != int(modality[i]):
                pull.append(d(x[i], c))
    pull = sum(pull) / len(pull) if pull else x.new_zeros(())
    push = sum(push) / len(push) if push else x.new_zeros(())
    return pull + push


#: Losses by their names in ``triplet.npz``.
TRIPLET_LOSSES = {
    'hard': naive_triplet,
    'wrt': naive_weighted_triplet,
    'adp_square0': naive_weighted_triplet,
    'adp_square1': lambda x, ids: naive_weighted_triplet(x, ids, squared=True),
}


def small_case(num_ids=5, per_id=4, dim=8, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {}
    for case, scale in (('small', 0.1), ('mid', 1.0), ('far', 8.0)):
        ids = np.tile(np.repeat(rng.choice(100, num_ids, replace=False), per_id // 2), 2)
        arrays[f'{case}_x'] = (scale * rng.standard_normal((len(ids), dim))).astype(np.float32)
        arrays[f'{case}_id'] = ids
        for name, loss_of in TRIPLET_LOSSES.items():
            x = torch.from_numpy(arrays[f'{case}_x']).double().requires_grad_()
            loss = loss_of(x, ids)
            loss.backward()
            arrays[f'{case}_{name}_loss'] = loss.detach().float().numpy()
            arrays[f'{case}_{name}_grad'] = x.grad.float().numpy()
    return arrays
