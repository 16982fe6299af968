"""CMC, mAP and mINP written as the definitions read: one query, one list, one loop.

Also small cases in the form of ``eval_sysu.npz`` and ``eval_regdb.npz``.
"""

import numpy as np


def naive_ranking(distance, q_ids, g_ids, q_cams=None, g_cams=None, *, protocol, max_rank=20,
                  count_identities=None):
    if count_identities is None:
        count_identities = protocol != 'regdb'
    curves, precisions, penalties = [], [], []
    for q in range(len(q_ids)):
        order = sorted(range(len(g_ids)), key=lambda g: (distance[q][g], g))
        if protocol == 'sysu':
            order = [g for g in order if not (q_cams[q] == 3 and g_cams[g] == 2)]
        elif protocol == 'llcm':
            order = [g for g in order if not (q_ids[q] == g_ids[g] and q_cams[q] == g_cams[g])]
        ranked = [int(g_ids[g]) for g in order]
        hits = [rank for rank, identity in enumerate(ranked, 1) if identity == q_ids[q]]
        if not hits:
            continue
        precisions.append(sum((k + 1) / rank for k, rank in enumerate(hits)) / len(hits))
        penalties.append(len(hits) / hits[-1])
        listed = list(dict.fromkeys(ranked)) if count_identities else ranked
        found = listed.index(int(q_ids[q])) + 1
        curves.append([float(found <= rank) for rank in range(1, max_rank + 1)])
    return {
        'cmc': np.mean(curves, axis=0),
        'mAP': float(np.mean(precisions)),
        'mINP': float(np.mean(penalties)),
        'num_valid_queries': len(curves)}


def random_case(seed, num_query=60, num_gallery=90, num_ids=12, ties=False):
    """Distances and labels; queries of one identity have no match."""
    rng = np.random.default_rng(seed)
    distance = rng.random((num_query, num_gallery))
    if ties:
        distance = np.round(distance, 1)
    ids = rng.choice(999, num_ids, replace=False)
    return {
        'distance': distance,
        'query_ids': rng.choice(ids, num_query),
        'gallery_ids': rng.choice(ids[:-1], num_gallery),
        'query_cams': rng.choice([3, 6, 1], num_query),
        'gallery_cams': rng.choice([1, 2, 4, 5], num_gallery)}


def small_case(protocol, seed=0, sizes=((60, 90, 12), (20, 9, 4))):
    """Results by name for galleries of several sizes (queries, gallery images, identities)."""
    arrays = {}
    for number, (num_query, num_gallery, num_ids) in enumerate(sizes):
        case = random_case(seed + number, num_query, num_gallery, num_ids)
        expected = naive_ranking(*case.values(), protocol=protocol)
        listed = num_gallery if protocol == 'regdb' else len(set(case['gallery_ids'].tolist()))
        arrays |= {f'case{number}_{name}': np.asarray(value) for name, value in {
            'dist': case['distance'], 'q_pid': case['query_ids'], 'g_pid': case['gallery_ids'],
            'q_cam': case['query_cams'], 'g_cam': case['gallery_cams'],
            'cmc': expected['cmc'][:listed], 'mAP': expected['mAP'], 'mINP': expected['mINP'],
            'n_query_no_match': num_query - expected['num_valid_queries'],
        }.items() if protocol == 'sysu' or not name.endswith('cam')}
    return arrays
