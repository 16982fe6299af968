"""Losses on pooled features, with or without the modality."""

import inspect

from torch import Tensor, nn

from mmvireid.structures import BatchInfo


def metric_loss_of_batch(loss: nn.Module, pooled: Tensor, info: BatchInfo) -> Tensor:
    """Call a metric loss with what its ``forward`` takes.

    Args:
        loss: takes ``(embeddings, ids)`` like :class:`mmvireid.models.TripletLoss`, or
            ``modality`` as well like :class:`mmvireid.models.HeteroCenterClusterLoss`.
        pooled: shape ``(N, D)``.
        info: of the N rows.

    Returns:
        Scalar.
    """
    if 'modality' in inspect.signature(loss.forward).parameters:
        return loss(pooled, info.label, modality=info.modality)
    return loss(pooled, info.label)
