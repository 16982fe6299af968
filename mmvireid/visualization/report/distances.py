"""How far the same person is from herself, and how far others are."""


import numpy as np
import torch
from torch import Tensor

from mmvireid.evaluation.functional import cosine_distance
from mmvireid.structures import ImageSet, Modality, RetrievalResult

#: Resolution at which pairs are counted; what is shown is coarser.
_FINE = 1200


def distance_panels(result: RetrievalResult, images: ImageSet, *, num_bins: int = 60,
                    max_images: int = 1500) -> list[dict]:
    """Count pairs by distance, the same person apart from different ones.

    Across modalities the distances are those of the ranking, of every pair of its trial.
    Within a modality nothing is ranked: there they are cosine distances of the descriptor
    from which the ranking starts, of images spread evenly over the test set.

    Args:
        result: the ranking of a trial.
        images: all test images.
        num_bins: bins of a histogram.
        max_images: images of a modality whose pairs are counted.

    Returns:
        One dict a panel, ``name``; ``range`` of its axis; ``same`` and ``different``,
        percent of the pairs in each bin; ``pairs``, the number of both; ``order``, percent
        of (same, different) couples of pairs in which the same person is nearer.
    """
    same = _equal(result.query.identity, result.gallery.identity)
    panels = [('across modalities', result.distance.float().cpu(), same, True)]
    for modality in Modality:
        rows = np.flatnonzero((images.modality == modality) & (images.identity >= 0))
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), max_images), dtype=int)]
        if len(rows) < 2:
            continue
        descriptors = images.descriptors[result.descriptor][torch.from_numpy(rows)].float()
        pairs = torch.ones(len(rows), len(rows), dtype=torch.bool).triu(1)
        panels.append((f'within {modality.name.lower()}', cosine_distance(
            descriptors, descriptors), _equal(images.identity[rows], images.identity[rows]),
            pairs))
    return [
        dict(name=name, **_histogram(distance, same, counted, num_bins))
        for name, distance, same, counted in panels
    ]


def _equal(first: np.ndarray, second: np.ndarray) -> Tensor:
    return torch.from_numpy(first[:, None] == second[None])


def _histogram(distance: Tensor, same: Tensor, counted: Tensor, num_bins: int) -> dict:
    """Count one panel; see :func:`distance_panels`."""
    every = torch.as_tensor(counted).expand_as(same)
    kinds = [distance[same & every], distance[~same & every]]
    low = min((float(kind.min()) for kind in kinds if len(kind)), default=0.0)
    high = max((float(kind.max()) for kind in kinds if len(kind)), default=1.0)
    if not high > low:  # All distances are equal: an axis needs some extent.
        low, high = low - 0.5, high + 0.5
    # Fine bins serve twice: summed they are what is drawn, cumulated they count couples.
    counts = [
        np.histogram(kind.numpy(), _FINE, (low, high))[0].astype(float) for kind in kinds
    ]
    total = [max(count.sum(), 1.0) for count in counts]
    nearer = np.cumsum(counts[0]) - counts[0] / 2  # of the same, before or halfway in the bin
    order = float((nearer * counts[1]).sum() / (total[0] * total[1]))
    coarse = [
        (100 * count.reshape(num_bins, -1).sum(1) / all_).round(3).tolist()
        for count, all_ in zip(counts, total)
    ]
    return dict(
        range=[round(low, 4), round(high, 4)],
        same=coarse[0],
        different=coarse[1],
        pairs=[len(kind) for kind in kinds],
        order=round(100 * order, 2) if all(len(kind) for kind in kinds) else None)
