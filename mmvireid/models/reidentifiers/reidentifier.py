"""What all re-identifiers have in common: MMEngine's modes."""

from abc import abstractmethod

from mmengine.model import BaseModel
from torch import Tensor, nn

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo, ReIDDataSample


class ReIdentifier(BaseModel):
    """Run a network of images in the modes of MMEngine.

    Args:
        data_preprocessor: config, or the part itself; without a type that of images.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self,
                 data_preprocessor: dict | nn.Module | None = None,
                 init_cfg: dict | None = None) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = MODELS.build(
                {'type': 'ReIDDataPreprocessor', **(data_preprocessor or {})})
        super().__init__(data_preprocessor, init_cfg)

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[ReIDDataSample] | None = None,
        mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[ReIDDataSample]:
        """Run the model in one of MMEngine's modes.

        Args:
            inputs: images of shape ``(N, 3, H, W)``.
            data_samples: the N samples of the rows.
            mode: 'tensor' gives features, 'loss' a dict of losses, 'predict' the samples
                with their ``descriptors``.

        Returns:
            As ``mode`` says; features as :meth:`extract_feat` gives them, of shape
            ``(N, ...)``.

        Raises:
            ValueError: for another mode, or without data samples.
        """
        if data_samples is None:
            raise ValueError('the model needs data_samples to know the modality of each image')
        if mode == 'tensor':
            return self.extract_feat(inputs, BatchInfo.from_samples(data_samples).modality)
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode is 'tensor', 'loss' or 'predict', got {mode!r}")

    def predict(self, inputs: Tensor, data_samples: list[ReIDDataSample]) -> list[ReIDDataSample]:
        """Add ``descriptors`` to each sample.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            data_samples: the N samples.

        Returns:
            The same samples; ``descriptors`` maps names to L2-normalised vectors of shape
            ``(D,)``.
        """
        modality = BatchInfo.from_samples(data_samples).modality
        descriptors = self.describe(inputs, modality)
        for i, sample in enumerate(data_samples):
            sample.descriptors = {name: rows[i] for name, rows in descriptors.items()}
        return data_samples

    @abstractmethod
    def extract_feat(self, inputs: Tensor, modality: Tensor) -> Tensor | dict[str, Tensor]:
        """Compute features.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared, in any order.

        Returns:
            Shape ``(N, ...)``, or such tensors by name.
        """

    @abstractmethod
    def loss(self, inputs: Tensor, data_samples: list[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            data_samples: the N samples.

        Returns:
            Losses by name.
        """

    @abstractmethod
    def describe(self, inputs: Tensor, modality: Tensor, flip: bool | None = None,
                 normalize: bool = True) -> dict[str, Tensor]:
        """Compute the descriptors of images, as they are compared.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared.
            flip: average with the descriptors of the mirror images; None does as
                ``test_cfg`` says.
            normalize: scale such a mean to unit length.

        Returns:
            Name -> rows of shape ``(N, D)``, L2-normalised unless they are bare means.
        """
