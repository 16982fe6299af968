"""Prototypes one after another, and a small case in the form of ``bmil_proxies.npz``."""

import numpy as np
from reference.features import people


def naive_prototypes(features, labels, modality):
    """One prototype after another, in the order of the definition."""
    means, clusters, kinds, assignment = [], [], [], np.full(len(labels), -1)
    for cluster in sorted(set(labels[labels >= 0].tolist())):
        for kind in (0, 1):
            rows = [i for i in range(len(labels))
                    if labels[i] == cluster and modality[i] == kind]
            if rows:
                assignment[rows] = len(means)
                means.append(features[rows].astype(np.float64).mean(0))
                clusters.append(cluster)
                kinds.append(kind)
    return np.array(means), np.array(clusters), np.array(kinds), assignment


def random_labels(seed, num, num_clusters=9):
    """Clusters 0 to K - 1 without gaps, some outliers, some of one modality."""
    labels = np.random.default_rng(seed).integers(-2, num_clusters, num).clip(min=-1)
    present = labels >= 0
    labels[present] = np.unique(labels[present], return_inverse=True)[1]
    return labels


def small_case(seed=0, **size):
    features, modality, _ = people(seed, unit=False, **size)
    arrays = {'feat': features, 'mod': modality}
    for eps in (40, 60):
        labels = random_labels(seed + eps, len(features))
        means, clusters, _, assignment = naive_prototypes(features, labels, modality)
        unit = means / np.linalg.norm(means, axis=1, keepdims=True)
        arrays |= {f'labels_eps{eps}': labels, f'proxy_mean_eps{eps}': means,
                   f'proxy_memory_eps{eps}': np.concatenate([unit, unit]),
                   f'proxy_label_eps{eps}': clusters, f'img_proxy_eps{eps}': assignment,
                   f'cluster_mean_eps{eps}': np.array(
                       [features[labels == c].mean(0) for c in range(labels.max() + 1)])}
    return arrays
