"""The step that says which visible and infrared clusters are the same person."""

from typing import Union

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS

Array = Union[np.ndarray, torch.Tensor]


@TASK_UTILS.register_module()
class NoAssociation:
    """Leave the clusters as they are.

    An associator is called with the features, the clusters and the modalities of all
    images and returns clusters in which matched ones carry the same number. BMIL needs
    none: its global clustering sees both modalities. Methods that match the clusters of
    two separate clusterings (PGM, MMM, ADCA) put their matching here.
    """

    def __call__(self, features: Array, labels: np.ndarray, modality: np.ndarray) -> np.ndarray:
        """Return the labels unchanged.

        Args:
            features: shape ``(N, D)`` float.
            labels: shape ``(N,)`` int64, -1 for images in no cluster.
            modality: shape ``(N,)`` int, 0 visible, 1 infrared.

        Returns:
            np.ndarray: shape ``(N,)`` int64, numbered without gaps.
        """
        return labels
