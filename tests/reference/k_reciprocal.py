"""k-reciprocal Jaccard distance and re-ranking in float64, with Python sets and N x N arrays."""

import numpy as np


def ranked(scores):
    """Sort columns of each row by descending score, ties by index."""
    return [sorted(range(len(row)), key=lambda j: (-row[j], j)) for row in scores]


def balanced_ranks(product, modality, share):
    """Merge the ``share`` best of each modality, best first."""
    ranks = []
    for row in product:
        chosen = []
        for value in (0, 1):
            members = [j for j in range(len(row)) if modality[j] == value]
            chosen += sorted(members, key=lambda j: (-row[j], j))[:share]
        ranks.append(sorted(chosen, key=lambda j: (-row[j], j)))
    return ranks


def reciprocal(ranks, columns):
    return [{j for j in row[:columns] if i in ranks[j][:columns]} or {i}
            for i, row in enumerate(ranks)]


def encode(full, half, weight_distance, groups):
    """Extended sets, softmax weights, then the mean over the mean of each group."""
    num = len(full)
    encoding = np.zeros((num, num))
    for i in range(num):
        members = set(full[i])
        for c in full[i]:
            if len(half[c] & full[i]) > 2 / 3 * len(half[c]) + 1e-9:
                members |= half[c]
        members = sorted(members)
        weights = np.exp(-weight_distance[i, members])
        encoding[i, members] = weights / weights.sum()
    if groups is None:
        return encoding
    expanded = np.zeros_like(encoding)
    for i in range(num):
        means = [encoding[group[i]].mean(0) for group in groups if len(group[i])]
        expanded[i] = np.mean(means, axis=0)
    return expanded


def minimum_distance(a, b):
    common = np.array([[np.minimum(x, y).sum() for y in b] for x in a])
    return np.maximum(1 - common / (2 - common), 0)


def naive_jaccard(features, k1=30, k2=6, modality=None, expansion='per_modality',
                  half_list='merged'):
    features = np.asarray(features, dtype=np.float64)
    product = features @ features.T
    half_columns = min(round(k1 / 2) + 1, k1)
    if modality is None or expansion == 'reweighted':
        ranks = ranked(product - (features**2).sum(1) / 2)
        full, half = reciprocal(ranks, k1), reciprocal(ranks, half_columns)
        groups = [[row[:k2] for row in ranks]]
        if expansion == 'reweighted' and modality is not None:
            groups = [[[j for j in row if modality[j] == value] for row in groups[0]]
                      for value in (0, 1)]
    else:
        ranks = balanced_ranks(product, modality, k1 // 2)
        full, half = reciprocal(ranks, len(features)), reciprocal(ranks, half_columns)
        if half_list == 'balanced':
            half = reciprocal(balanced_ranks(product, modality, half_columns // 2),
                              len(features))
        each = max(1, k2 // 2) if expansion == 'split' else k2
        groups = [[[j for j in row if modality[j] == value][:each] for row in ranked(product)]
                  for value in (0, 1)]
    encoding = encode(full, half, 2 - 2 * product, groups if k2 > 1 else None)
    distance = minimum_distance(encoding, encoding)
    np.fill_diagonal(distance, 0)
    return distance


def naive_camera_jaccard(features, cameras, k1_intra=5, k1_inter=20, k2_intra=2, k2_inter=4):
    """CA-Jaccard: two rankings, united reciprocal sets, one mean over the first of both."""
    features = np.asarray(features, dtype=np.float64)
    product = features @ features.T
    intra = [[j for j in row if cameras[j] == cameras[i]] for i, row in enumerate(ranked(product))]
    inter = [[j for j in row if cameras[j] != cameras[i]] for i, row in enumerate(ranked(product))]
    full = [{j for j in intra[i][:k1_intra + 1] if i in intra[j][:k1_intra + 1]}
            | {j for j in inter[i][:k1_inter + 1] if i in inter[j][:k1_inter + 1]}
            for i in range(len(features))]
    encoding = encode([own or {i} for i, own in enumerate(full)],
                      [{i} for i in range(len(features))], 2 - 2 * product,
                      [[a[:k2_intra] + b[:k2_inter] for a, b in zip(intra, inter)]])
    distance = minimum_distance(encoding, encoding)
    np.fill_diagonal(distance, 0)
    return distance


def naive_rerank(query, gallery, k1=20, k2=6, lambda_value=0.3):
    features = np.concatenate([query, gallery]).astype(np.float64)
    distance = 2 - 2 * features @ features.T
    np.fill_diagonal(distance, 0)
    distance /= distance.max(axis=1, keepdims=True)
    ranks = ranked(-distance)
    encoding = encode(
        reciprocal(ranks, k1 + 1), reciprocal(ranks, round(k1 / 2) + 1), distance,
        [[row[:k2] for row in ranks]] if k2 > 1 else None)
    num = len(query)
    jaccard = minimum_distance(encoding[:num], encoding[num:])
    return (1 - lambda_value) * jaccard + lambda_value * distance[:num, num:]
