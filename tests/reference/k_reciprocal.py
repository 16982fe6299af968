"""k-reciprocal Jaccard distance and re-ranking in float64, with Python sets and N x N arrays.

Also small cases in the form of ``bmil_jaccard.npz``, ``ca_jaccard.npz`` and ``rerank.npz``.
"""

import numpy as np
from reference.features import filmed, people
from sklearn.cluster import DBSCAN


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


def naive_camera_jaccard(features, cameras, k1_intra=5, k1_inter=20, k2_intra=2, k2_inter=4,
                         plain_sets=None, plain_expansion=None):
    """CA-Jaccard: two rankings, united reciprocal sets, one mean over the first of both.

    Its ablations take the sets, or the expansion, from the ranking of all images.
    """
    features = np.asarray(features, dtype=np.float64)
    product = features @ features.T
    intra = [[j for j in row if cameras[j] == cameras[i]] for i, row in enumerate(ranked(product))]
    inter = [[j for j in row if cameras[j] != cameras[i]] for i, row in enumerate(ranked(product))]
    full = [{j for j in intra[i][:k1_intra + 1] if i in intra[j][:k1_intra + 1]}
            | {j for j in inter[i][:k1_inter + 1] if i in inter[j][:k1_inter + 1]}
            for i in range(len(features))]
    full = [own or {i} for i, own in enumerate(full)]
    half = [{i} for i in range(len(features))]
    expansion = [a[:k2_intra] + b[:k2_inter] for a, b in zip(intra, inter)]
    every = ranked(product - (features**2).sum(1) / 2)
    if plain_sets:
        full, half = reciprocal(every, plain_sets + 1), reciprocal(every, plain_sets // 2 + 1)
    if plain_expansion:
        expansion = [row[:plain_expansion] for row in every]
    encoding = encode(full, half, 2 - 2 * product,
                      [expansion] if len(expansion[0]) > 1 else None)
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


def dbscan(distance, eps):
    return DBSCAN(eps=eps, min_samples=4, metric='precomputed').fit_predict(distance)


def small_jaccard_case(seed=7, **size):
    """Plain and modality-aware distances, and their clusters."""
    arrays = {'eps': np.array([0.45, 0.6])}
    for unit, suffix in ((True, ''), (False, '_nonunit')):
        features, modality, identity = people(seed, unit=unit, **size)
        arrays |= {f'feat{suffix}': features, 'mod': modality, 'pid': identity,
                   'cam': 1 + modality, 'n_vis': np.int64((modality == 0).sum())}
        for k in ({'k1': 9, 'k2': 4}, {'k1': 8, 'k2': 1}):
            name = f'_k1_{k["k1"]}_k2_{k["k2"]}'
            arrays[f'jac_plain{suffix}{name}'] = naive_jaccard(features, **k)
            arrays[f'jac_aware{suffix}{name}'] = naive_jaccard(features, modality=modality, **k)
        if unit:
            for value, which in ((0, 'vis'), (1, 'ir')):
                arrays[f'jac_plain_{which}_k1_9_k2_4'] = naive_jaccard(
                    features[modality == value], k1=9, k2=4)
    for name in [name.removeprefix('jac_') for name in arrays if name.startswith('jac_')]:
        for eps in arrays['eps']:
            distance = arrays[f'jac_{name}']
            labels = [dbscan(distance, eps + shift) for shift in (0, -5e-6, 5e-6)]
            arrays[f'labels_{name}_eps{round(100 * eps)}'] = labels[0]
            arrays[f'stable_{name}_eps{round(100 * eps)}'] = np.bool_(
                all(np.array_equal(labels[0], other) for other in labels[1:]))
    return arrays


def small_camera_case(seed=0, num_ids=8, images=4, dim=16):
    """Camera-aware distances and their ablations, of each modality."""
    arrays = {}
    for which, cameras in (('vis', 3), ('ir', 2)):
        features, camera, identity = filmed(seed, cameras, images, num_ids, dim=dim)
        arrays |= {f'{which}_feat': features, f'{which}_cam': camera, f'{which}_id': identity,
                   f'{which}_caj': naive_camera_jaccard(features, camera),
                   f'{which}_caj_epoch0': naive_camera_jaccard(
                       features, camera, k2_intra=3, k2_inter=3),
                   f'{which}_caj_k1_2_7_k2_1_2': naive_camera_jaccard(
                       features, camera, 2, 7, 1, 2),
                   f'{which}_caj_no_expansion': naive_camera_jaccard(
                       features, camera, k2_intra=1, k2_inter=0),
                   f'{which}_ckrnn_lqe': naive_camera_jaccard(features, camera, plain_expansion=6),
                   f'{which}_krnn_clqe': naive_camera_jaccard(features, camera, plain_sets=20),
                   f'{which}_plain_k1_9': naive_jaccard(features, k1=10)}
        for case in ('caj', 'caj_epoch0'):
            arrays[f'{which}_labels_{case}_eps50'] = dbscan(arrays[f'{which}_{case}'], 0.5)
    return arrays


def small_rerank_case(seed=0, num_ids=12, **size):
    features, modality, identity = people(seed, num_ids=num_ids, **size)
    arrays = {'query': features[modality == 1], 'gallery': features[modality == 0],
              'query_id': identity[modality == 1], 'gallery_id': identity[modality == 0]}
    for k1, k2, tenths in ((20, 6, 3), (8, 4, 0), (15, 1, 5)):
        arrays[f'dist_k1_{k1}_k2_{k2}_lambda_{tenths}'] = naive_rerank(
            arrays['query'], arrays['gallery'], k1, k2, tenths / 10)
    return arrays
