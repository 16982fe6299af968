"""The model that all supervised methods share."""

from inspect import signature
from typing import Optional, Union

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.structures import Modality, ReIDDataSample

from ..backbones import CrossModalityBackbone
from ..utils import gather_rows


@MODELS.register_module()
class CrossModalityReIdentifier(BaseModel):
    """Embed visible and infrared images of people into one space.

    ``backbone(images, modality) -> maps``, ``neck(maps) -> pooled features``,
    ``head.loss`` and ``head.predict`` on pooled features. What a method adds is in
    its head.

    In distributed training the head sees the pooled features of all ranks, ordered
    visible first, so losses and graphs are those of the whole batch and a run on
    several processes equals a run on one with the same batch.

    Args:
        backbone: config of a :class:`CrossModalityBackbone`, or of a plain backbone,
            which is then shared by both modalities.
        head: config of a head.
        neck: config of the pooling; None for trunks that give vectors.
        gather: compute the losses on the rows of all ranks.
        channels_last: keep images and convolutions in memory channel by channel of a
            pixel; the same function, faster on CPUs and on GPUs with mixed precision.
        data_preprocessor: config, by default a :class:`ReIDDataPreprocessor`.
        test_cfg: ``dict(flip=True)`` averages the descriptors of each test image and of
            its mirror image.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 neck: Optional[dict] = None,
                 gather: bool = True,
                 channels_last: bool = False,
                 data_preprocessor: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = MODELS.build(
                {'type': 'ReIDDataPreprocessor', **(data_preprocessor or {})})
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = _modality_aware(MODELS.build(backbone))
        self.neck = MODELS.build(neck) if neck is not None else None
        self.head = MODELS.build(head)
        self.gather = gather
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        self.test_cfg = {'flip': False, **(test_cfg or {})}

    def forward(
        self,
        inputs: Tensor,
        data_samples: Optional[list[ReIDDataSample]] = None,
        mode: str = 'tensor'
    ) -> Union[Tensor, dict[str, Tensor], list[ReIDDataSample]]:
        """Run the model in one of MMEngine's modes.

        Args:
            inputs: images of shape ``(N, 3, H, W)``.
            data_samples: the N samples of the rows.
            mode: 'tensor' gives pooled features, 'loss' a dict of losses, 'predict' the
                samples with their ``descriptors``.

        Returns:
            As ``mode`` says; pooled features are of shape ``(N, C)``.

        Raises:
            ValueError: for another mode, or without data samples.
        """
        if data_samples is None:
            raise ValueError('the model needs data_samples to know the modality of each image')
        if mode == 'tensor':
            return self.extract_feat(inputs, modality_of(data_samples))
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode is 'tensor', 'loss' or 'predict', got {mode!r}")

    def extract_feat(self, inputs: Tensor, modality: Tensor) -> Tensor:
        """Compute pooled features.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared, in any order.

        Returns:
            Shape ``(N, D)``.
        """
        features = self.backbone(inputs.contiguous(memory_format=self.memory_format), modality)
        if isinstance(features, (tuple, list)):
            features = features[-1]
        return features if self.neck is None else self.neck(features)

    def loss(self, inputs: Tensor, data_samples: list[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            data_samples: the N samples, with labels.

        Returns:
            Losses by name.

        Raises:
            ValueError: if an image has no label or one beyond the classifier, or a
                modality that the head needs is missing.
        """
        modality = modality_of(data_samples)
        ids = self.training_targets(data_samples, modality)
        # Copied before the forward pass: a copy behind it would wait until it has ended.
        ids = ids.to(inputs.device, non_blocking=True)
        on_device = modality.to(inputs.device, non_blocking=True)
        pooled = self.extract_feat(inputs, modality)
        modality = on_device
        if self.gather:
            pooled, ids, modality = gather_rows(pooled), gather_rows(ids), gather_rows(modality)
        order = modality.argsort(stable=True)
        return self.head.loss(pooled[order], ids[order], modality[order])

    def predict(self, inputs: Tensor, data_samples: list[ReIDDataSample]) -> list[ReIDDataSample]:
        """Add ``descriptors`` to each sample.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            data_samples: the N samples.

        Returns:
            The same samples; ``descriptors`` maps names to L2-normalised vectors of shape
            ``(D,)``.
        """
        descriptors = self.describe(inputs, modality_of(data_samples))
        for i, sample in enumerate(data_samples):
            sample.descriptors = {name: rows[i] for name, rows in descriptors.items()}
        return data_samples

    def describe(self, inputs: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Compute the descriptors of images, as they are compared at test time.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared.

        Returns:
            Name -> L2-normalised rows of shape ``(N, D)``.
        """
        descriptors = self.head.predict(self.extract_feat(inputs, modality))
        if self.test_cfg['flip']:
            mirrored = self.head.predict(self.extract_feat(inputs.flip(-1), modality))
            # The sum has the direction of the mean.
            descriptors = {
                name: functional.normalize(rows + mirrored[name])
                for name, rows in descriptors.items()
            }
        return descriptors

    def training_targets(self, data_samples: list[ReIDDataSample], modality: Tensor) -> Tensor:
        """Return what the head's loss gets besides features and modalities.

        Args:
            data_samples: N samples.
            modality: shape ``(N,)``.

        Returns:
            Shape ``(N,)`` int64, the labels.

        Raises:
            ValueError: as :meth:`loss` says.
        """
        ids = torch.tensor([sample.label for sample in data_samples])
        if bool((ids < 0).any()):
            path = data_samples[int((ids < 0).nonzero()[0])].img_path
            raise ValueError(f'{path} has no label: train on the training split of the dataset')
        if int(ids.max()) >= self.head.num_classes:
            raise ValueError(
                f'the training set has label {int(ids.max())}, but the head was built for '
                f'{self.head.num_classes} identities: set model.head.num_classes to the number of '
                'identities of the training set')
        if self.head.requires_both_modalities:
            for m in Modality:
                if m not in modality:
                    raise ValueError(
                        f'{type(self.head).__name__} transfers features between the modalities, '
                        f'but a batch of {len(modality)} images has no {m.name.lower()} one: use '
                        'a sampler that draws both for each identity')
        return ids


def modality_of(data_samples: list[ReIDDataSample]) -> Tensor:
    """Collect the modality of samples.

    Args:
        data_samples: N samples.

    Returns:
        Shape ``(N,)`` int64, on the CPU.
    """
    return torch.tensor([int(sample.modality) for sample in data_samples])


def _modality_aware(backbone: nn.Module) -> nn.Module:
    """Wrap a backbone that takes images only."""
    if 'modality' in signature(backbone.forward).parameters:
        return backbone
    return CrossModalityBackbone(backbone)
