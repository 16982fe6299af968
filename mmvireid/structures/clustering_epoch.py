"""What the clustering before an epoch has found."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class ClusteringEpoch:
    """Features and pseudo labels of the training set in one epoch.

    Args:
        epoch: number of the epoch, from 0.
        features: shape ``(N, D)``, one row for each image of the dataset.
        modality: shape ``(N,)`` int64, 0 visible, 1 infrared.
        labels: branch -> shape ``(N,)`` int64, the cluster of each image, -1 for none.
            Equal numbers always mean the same cluster.
        identities: shape ``(N,)`` int64 where known, for scores and pictures only.
    """

    epoch: int
    features: torch.Tensor
    modality: np.ndarray
    labels: Mapping[str, np.ndarray]
    identities: np.ndarray | None = None
