"""Losses on pooled features, with or without the modality."""

import inspect

from torch import Tensor, nn


def metric_loss_of_batch(loss: nn.Module, pooled: Tensor, ids: Tensor,
                         modality: Tensor) -> Tensor:
    """Call a metric loss with what its ``forward`` takes.

    Args:
        loss: takes ``(embeddings, ids)`` like :class:`mmvireid.models.TripletLoss`, or
            ``modality`` as well like :class:`mmvireid.models.HeteroCenterClusterLoss`.
        pooled: shape ``(N, D)``.
        ids: shape ``(N,)``.
        modality: shape ``(N,)``, 0 visible, 1 infrared.

    Returns:
        Scalar.
    """
    if 'modality' in inspect.signature(loss.forward).parameters:
        return loss(pooled, ids, modality=modality)
    return loss(pooled, ids)
