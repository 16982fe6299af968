"""Scores of clusters against counting pairs of images."""

from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.clustering import cluster_report


def entropy(groups):
    shares = [groups.count(g) / len(groups) for g in sorted(set(groups))]
    return -sum(share * log(share) for share in shares)


def naive_ari(labels, identities):
    """Hubert and Arabie, from the four kinds of pairs."""
    both = only_labels = only_identities = neither = 0
    for (k, i), (m, j) in combinations(zip(labels, identities), 2):
        both += k == m and i == j
        only_labels += k == m and i != j
        only_identities += k != m and i == j
        neither += k != m and i != j
    if only_labels == only_identities == 0:
        return 1.0
    return 2 * (both * neither - only_labels * only_identities) / (
        (both + only_identities) * (only_identities + neither)
        + (both + only_labels) * (only_labels + neither))


def naive_nmi(labels, identities):
    mutual = entropy(labels) + entropy(identities) - entropy(list(zip(labels, identities)))
    mean = (entropy(labels) + entropy(identities)) / 2
    return 1.0 if mean == 0 else mutual / mean


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 25), st.integers(1, 5), st.booleans())
def test_equals_counting(seed, num, num_clusters, subset):
    rng = np.random.default_rng(seed)
    labels = 3 * rng.integers(-1, num_clusters, num)  # names of clusters may have gaps
    identities, modality = rng.integers(-1, 4, num), rng.integers(0, 2, num)
    considered = rng.random(num) < 0.7 if subset else np.ones(num, bool)
    found = cluster_report(labels, modality, considered if subset else None, identities)

    rows = [i for i in range(num) if considered[i]]
    kept = [i for i in rows if labels[i] >= 0]
    clusters = {k: {modality[i] for i in kept if labels[i] == k} for k in labels[kept].tolist()}
    mixed = {k for k, seen in clusters.items() if len(seen) == 2}
    assert found.images == len(rows)
    assert found.outliers == len(rows) - len(kept)
    assert found.clusters == len(clusters)
    assert found.mixed == len(mixed)
    linked = [i for i in kept if labels[i] in mixed]
    assert found.linked == pytest.approx(100 * len(linked) / max(1, len(rows)))

    known = [i for i in kept if identities[i] >= 0]
    if not known:
        assert found.ari is found.nmi is found.purity is None
        return
    a, b = labels[known].tolist(), identities[known].tolist()
    assert found.ari == pytest.approx(naive_ari(a, b), abs=1e-9)
    assert found.nmi == pytest.approx(naive_nmi(a, b), abs=1e-9)
    links = [identities[i] == identities[j] for i, j in combinations(known, 2)
             if labels[i] == labels[j] and modality[i] != modality[j]]
    if links:
        assert found.purity == pytest.approx(100 * np.mean(links))
    else:
        assert found.purity is None


def test_without_identities_there_are_counts_only():
    labels, modality = np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0])
    for identities in (None, np.full(4, -1)):
        found = cluster_report(labels, modality, identities=identities)
        assert (found.clusters, found.mixed, found.outliers, found.linked) == (2, 1, 1, 50.0)
        assert found.ari is found.nmi is found.purity is None
