"""CMC, mAP and mINP written as the definitions read: one query, one list, one loop."""

import numpy as np


def naive_ranking(distance, q_ids, g_ids, q_cams=None, g_cams=None, *, protocol, max_rank=20):
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
        listed = ranked if protocol == 'regdb' else list(dict.fromkeys(ranked))
        found = listed.index(int(q_ids[q])) + 1
        curves.append([float(found <= rank) for rank in range(1, max_rank + 1)])
    return {
        'cmc': np.mean(curves, axis=0),
        'mAP': float(np.mean(precisions)),
        'mINP': float(np.mean(penalties)),
        'num_valid_queries': len(curves)}
