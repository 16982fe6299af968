"""The model of methods that learn without identities."""

from typing import Any

import torch
from torch import Tensor

from mmvireid.registry import MODELS
from mmvireid.structures import ReIDDataSample

from .cross_modality import CrossModalityReIdentifier


@MODELS.register_module()
class UnsupervisedReIdentifier(CrossModalityReIdentifier):
    """A :class:`CrossModalityReIdentifier` whose head knows images by their index.

    Identities are neither read nor needed; the head looks the pseudo label of each image
    up in a table that a hook makes before each epoch. The head always sees the images of
    all ranks.

    Args:
        **kwargs: those of :class:`CrossModalityReIdentifier` but ``gather``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(gather=True, **kwargs)

    def training_targets(self, data_samples: list[ReIDDataSample], modality: Tensor) -> Tensor:
        """Return what the head's loss gets besides features and modalities.

        Args:
            data_samples: N samples.
            modality: shape ``(N,)``.

        Returns:
            Shape ``(N,)`` int64, each image's index in the dataset.
        """
        return torch.tensor([sample.sample_idx for sample in data_samples])
