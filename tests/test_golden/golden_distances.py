"""What both kinds of Jaccard distance share."""

import numpy as np
from sklearn.cluster import DBSCAN

TOLERANCE = 5e-6


def assert_distances_equal(distance, expected, name):
    """Compare a sparse distance with a full one; what is not stored is 1."""
    full = np.ones(distance.shape, dtype=np.float32)
    entries = distance.tocoo()
    full[entries.row, entries.col] = entries.data
    np.testing.assert_allclose(full, expected, rtol=0, atol=TOLERANCE, err_msg=name)


def assert_clusters_equal(golden, distance, prefix):
    """Compare DBSCAN's labels at each eps in the names of arrays, in hundredths."""
    for name in [name for name in golden if name.startswith(f'{prefix}_eps')]:
        stable = name.replace('labels', 'stable')
        if stable in golden and not golden[stable]:
            continue
        eps = int(name.removeprefix(f'{prefix}_eps')) / 100
        found = DBSCAN(eps=eps, min_samples=4, metric='precomputed').fit_predict(distance)
        np.testing.assert_array_equal(found, golden[name], err_msg=name)
