"""How good clusters are, where the identities are known."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score


@dataclass(frozen=True)
class ClusterReport:
    """What can be said of one set of clusters.

    Args:
        clusters: number of clusters.
        mixed: number of clusters with images of both modalities.
        outliers: number of images that were considered and are in no cluster.
        images: number of images that were considered.
        linked: percent of the considered images that are in a mixed cluster.
        ari: adjusted Rand index of the images in clusters, None without identities.
        nmi: normalised mutual information of the same images.
        purity: percent of the visible-infrared image pairs in a common cluster that show
            the same person; None without identities or without such pairs.
    """

    clusters: int
    mixed: int
    outliers: int
    images: int
    linked: float
    ari: float | None = None
    nmi: float | None = None
    purity: float | None = None


def cluster_report(labels: np.ndarray,
                   modality: np.ndarray,
                   considered: np.ndarray | None = None,
                   identities: np.ndarray | None = None) -> ClusterReport:
    """Count clusters, and compare them with identities if these are known.

    Args:
        labels: shape ``(N,)`` int, -1 for images in no cluster.
        modality: shape ``(N,)`` int, 0 visible, 1 infrared.
        considered: shape ``(N,)`` bool, the images that were clustered; None for all.
        identities: shape ``(N,)`` int, negative where unknown; None if they all are.

    Returns:
        ClusterReport: counts and scores.

    Examples:
        >>> from mmvireid.clustering import cluster_report
        >>> report = cluster_report([0, 0, 1, -1], modality=[0, 1, 1, 0], identities=[7, 7, 8, 8])
        >>> report.clusters, report.mixed, report.outliers, report.purity
        (2, 1, 1, 100.0)
    """
    labels, modality = np.asarray(labels), np.asarray(modality)
    considered = np.ones(len(labels), bool) if considered is None else np.asarray(considered)
    kept = considered & (labels >= 0)
    names, clusters = np.unique(labels[kept], return_inverse=True)
    # Images of each modality in each cluster: what follows needs no pair of images.
    visible, infrared = (
        np.bincount(clusters[modality[kept] == value], minlength=len(names)) for value in (0, 1))
    mixed = (visible > 0) & (infrared > 0)
    counts = dict(
        clusters=len(names),
        mixed=int(mixed.sum()),
        outliers=int(considered.sum() - kept.sum()),
        images=int(considered.sum()),
        linked=100 * float((visible + infrared)[mixed].sum()) / max(1, int(considered.sum())))
    known = None if identities is None else kept & (np.asarray(identities) >= 0)
    if known is None or not known.any():
        return ClusterReport(**counts)
    truth = np.asarray(identities)[known]
    return ClusterReport(
        **counts,
        ari=float(adjusted_rand_score(truth, labels[known])),
        nmi=float(normalized_mutual_info_score(truth, labels[known])),
        purity=_link_purity(labels[known], modality[known], truth))


def _link_purity(labels: np.ndarray, modality: np.ndarray,
                 identities: np.ndarray) -> float | None:
    """Return the percent of visible-infrared pairs in a cluster with one identity."""
    num_links = _cross_pairs(labels, modality)
    if num_links == 0:
        return None
    # A pair with one cluster and one identity is a pair within a group of equal (label, identity).
    both = np.unique(np.stack([labels, identities]), axis=1, return_inverse=True)[1].ravel()
    return 100 * _cross_pairs(both, modality) / num_links


def _cross_pairs(groups: np.ndarray, modality: np.ndarray) -> int:
    """Count the visible-infrared pairs within groups."""
    positions = np.unique(groups, return_inverse=True)[1]
    visible, infrared = (
        np.bincount(positions[modality == value], minlength=positions.max() + 1)
        for value in (0, 1))
    return int((visible * infrared).sum())
