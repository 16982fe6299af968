"""The model that all methods share."""

from inspect import signature
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn
from torch.nn import functional

from mmvireid.checkpoints import present_names
from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo, ReIDDataSample
from mmvireid.utils.errors import ConfigError

from ..backbones import CrossModalityBackbone
from ..utils import gather_rows, map_rows
from .reidentifier import ReIdentifier


@MODELS.register_module()
class CrossModalityReIdentifier(ReIdentifier):
    """Embed visible and infrared images of people into one space.

    ``backbone(images, modality) -> maps``, ``neck(maps) -> features``, then ``head.loss``
    or ``head.predict`` on the features, for methods with identities and without: what a
    method adds is in its head (:class:`mmvireid.models.ReIDHead`), which is also told all
    that is known of the images (:class:`mmvireid.structures.BatchInfo`).

    Features are one tensor, or a dict of tensors. The first axis is always the images;
    there may be further ones, such as ``(N, 3, D)`` for three branches of a network, which
    so stay with their image wherever it goes.

    In distributed training the head sees the features of all ranks, ordered visible
    first, so losses and graphs are those of the whole batch and a run on several processes
    equals a run on one with the same batch.

    Backbone and neck may add losses that are no function of the features, such as one that
    keeps attention masks apart: a method ``auxiliary_losses() -> dict`` that gives those
    of the last forward pass, each a mean over its images, already weighted. They are part
    of what the model's ``forward`` returns, so that ``DistributedDataParallel`` averages
    their gradients over the ranks, which hold equally many images: the gradient is that of
    the mean over the whole batch. The values are averaged to match.

    Args:
        backbone: config of a :class:`CrossModalityBackbone`, or of a plain backbone,
            which is then shared by both modalities. Of a tuple of maps, one for each
            stage, the last is used; a dict goes on as it is.
        head: config of a head.
        neck: config of the pooling; None for trunks that give vectors. A neck with the
            attribute ``takes_all_stages = True`` gets the whole tuple.
        gather: compute the losses on the rows of all ranks.
        channels_last: keep images and convolutions in memory channel by channel of a
            pixel; the same function, faster on CPUs and on GPUs with mixed precision.
        data_preprocessor: config, by default a :class:`ReIDDataPreprocessor`.
        test_cfg: ``dict(flip=True)`` averages the descriptors of each test image and of
            its mirror image.
        init_cfg: MMEngine's initialisation config.

    Examples:
        A model in miniature; configs name backbones of mmpretrain instead.

        >>> import torch
        >>> from torch import nn
        >>> from mmvireid.models import CrossModalityReIdentifier
        >>> from mmvireid.structures import ReIDDataSample
        >>> model = CrossModalityReIdentifier(
        ...     backbone=dict(type=nn.Conv2d, in_channels=3, out_channels=8, kernel_size=4),
        ...     neck=dict(type='GeneralizedMeanPooling'),
        ...     head=dict(type='BNNeckHead', num_classes=10, in_channels=8))
        >>> images = torch.rand(2, 3, 32, 16)
        >>> samples = [ReIDDataSample(metainfo=dict(modality=m, label=5)) for m in (0, 1)]
        >>> sorted(model(images, samples, mode='loss'))
        ['accuracy', 'loss_ce']
        >>> described = model.eval()(images, samples, mode='predict')
        >>> described[0].descriptors['base'].shape
        torch.Size([8])
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 neck: dict | None = None,
                 gather: bool = True,
                 channels_last: bool = False,
                 data_preprocessor: dict | None = None,
                 test_cfg: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = _modality_aware(MODELS.build(backbone))
        self.neck = MODELS.build(neck) if neck is not None else None
        self.head = MODELS.build(head)
        self.gather = gather
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        self.test_cfg = {'flip': False, **(test_cfg or {})}

    def extract_feat(self, inputs: Tensor, modality: Tensor) -> Tensor | dict[str, Tensor]:
        """Compute features, up to the head.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared, in any order.

        Returns:
            What the neck gives, or the backbone without one: usually of shape ``(N, D)``,
            or tensors of shape ``(N, ...)`` by name.
        """
        features = self.backbone(inputs.contiguous(memory_format=self.memory_format), modality)
        if isinstance(features, (tuple, list)) and not getattr(
                self.neck, 'takes_all_stages', False):
            features = features[-1]
        return features if self.neck is None else self.neck(features)

    def loss(self, inputs: Tensor, data_samples: list[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            data_samples: the N samples.

        Returns:
            Losses by name: the head's, then those of backbone and neck.

        Raises:
            ValueError: if a tensor of features does not have a row for each image.
            MMVIReIDError: if the batch lacks what the head needs.
        """
        self.head.check_batch(data_samples)
        info = BatchInfo.from_samples(data_samples)
        # Copied before the forward pass: a copy behind it would wait until it has ended.
        on_device = info.to(inputs.device, non_blocking=True)
        features = self.extract_feat(inputs, info.modality)
        _check_rows(features, len(info))
        info = on_device
        auxiliary = {
            name: loss for part in (self.backbone, self.neck) if hasattr(part, 'auxiliary_losses')
            for name, loss in part.auxiliary_losses().items()
        }
        if self.gather:
            features, info = map_rows(gather_rows, features), info.gather()
            auxiliary = {name: _mean_over_ranks(loss) for name, loss in auxiliary.items()}
        # Visible first, otherwise in the order of the ranks: that of a single process.
        order = info.modality.argsort(stable=True)
        features, info = map_rows(lambda rows: rows[order], features), info[order]
        return {**self.head.loss(features, info), **auxiliary}

    def describe(self, inputs: Tensor, modality: Tensor, flip: bool | None = None,
                 normalize: bool = True) -> dict[str, Tensor]:
        """Compute the descriptors of images, as they are compared.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared.
            flip: average with the descriptors of the mirror images; None does as
                ``test_cfg`` says.
            normalize: scale such a mean to unit length. The mean of two unit vectors is
                shorter, the more so the less the two agree.

        Returns:
            Name -> rows of shape ``(N, D)``, L2-normalised unless they are bare means.
        """
        descriptors = self.head.predict(self.extract_feat(inputs, modality))
        if self.test_cfg['flip'] if flip is None else flip:
            mirrored = self.head.predict(self.extract_feat(inputs.flip(-1), modality))
            descriptors = {
                name: (rows + mirrored[name]) / 2 for name, rows in descriptors.items()
            }
            if normalize:
                descriptors = map_rows(functional.normalize, descriptors)
        return descriptors

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any,
                              **kwargs: Any) -> None:
        """Find parameters of a checkpoint of an earlier version under their new names."""
        renamed = present_names(state_dict, self, prefix)
        state_dict.clear()
        state_dict.update(renamed)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _check_rows(features: Tensor | dict[str, Tensor], num_images: int) -> None:
    """Refuse features of which a part would be taken for another image's."""
    named = {'': features} if isinstance(features, Tensor) else features
    for name, rows in named.items():
        if len(rows) != num_images:
            raise ConfigError(
                f'the first axis of features is the images, but for {num_images} images there are '
                f'features{name and f" {name!r}"} of shape {tuple(rows.shape)}: give branches or '
                'parts of an image an axis of their own')


def _mean_over_ranks(loss: Tensor) -> Tensor:
    """Give a loss the value of its mean over the ranks, and leave its gradient alone."""
    mean = loss.detach().clone()
    all_reduce(mean, op='mean')
    return loss + (mean - loss.detach())


def _modality_aware(backbone: nn.Module) -> nn.Module:
    """Wrap a backbone that takes images only."""
    if 'modality' in signature(backbone.forward).parameters:
        return backbone
    return CrossModalityBackbone(backbone)
