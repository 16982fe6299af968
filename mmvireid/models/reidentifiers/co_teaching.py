"""Several networks that are trained side by side and searched as one."""

import torch
from mmengine.model import ModuleList
from torch import Tensor
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo, ReIDDataSample, member_names
from mmvireid.utils.errors import ConfigError

from .cross_modality import CrossModalityReIdentifier
from .reidentifier import ReIdentifier


@MODELS.register_module()
class CoTeachingReIdentifier(ReIdentifier):
    """Train several re-identifiers on batches of their own, and describe images by their mean.

    Two networks that start differently make different mistakes, so each can tell the other
    which labels to trust (Han et al., "Co-teaching", NeurIPS 2018; DART, CVPR 2022). The
    members are alike and share nothing. The batch says whose it is
    (:class:`mmvireid.datasets.CoTeachingSampler`), and the others have no part in that step:
    their parameters get no gradient, so that one optimiser leaves them and its own state of
    them, such as their momentum, untouched, exactly as if each member had an optimiser of its
    own. What they tell each other is for a hook
    (:class:`mmvireid.engine.CleanProbabilityHook`).

    Several processes need ``find_unused_parameters = True`` in the config.

    Descriptors are the mean of the members' unit vectors, scaled to unit length. Those of each
    member are there as well: ``member_1``, ``member_2`` and so on.

    Args:
        backbone: as for :class:`CrossModalityReIdentifier`, of each member.
        head: the same.
        neck: the same.
        num_members: how many networks there are; one is the ablation.
        gather: the same.
        channels_last: the same.
        data_preprocessor: config, shared by the members.
        test_cfg: as for :class:`CrossModalityReIdentifier`.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ConfigError: if there is no member.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from mmvireid.models import CoTeachingReIdentifier
        >>> from mmvireid.structures import ReIDDataSample
        >>> model = CoTeachingReIdentifier(
        ...     backbone=dict(type=nn.Conv2d, in_channels=3, out_channels=8, kernel_size=4),
        ...     neck=dict(type='GeneralizedMeanPooling'),
        ...     head=dict(type='BNNeckHead', num_classes=10, in_channels=8))
        >>> images = torch.rand(2, 3, 32, 16)
        >>> samples = [ReIDDataSample(metainfo=dict(modality=m, label=5, branch='member_2'))
        ...            for m in (0, 1)]
        >>> model(images, samples, mode='loss')['loss_ce'].backward()
        >>> [name for name, p in model.named_parameters() if p.grad is not None][0]
        'members.1.backbone.trunk.weight'
        >>> sorted(model.eval()(images, samples, mode='predict')[0].descriptors)
        ['base', 'member_1', 'member_2']
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 neck: dict | None = None,
                 num_members: int = 2,
                 gather: bool = True,
                 channels_last: bool = False,
                 data_preprocessor: dict | None = None,
                 test_cfg: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        if num_members < 1:
            raise ConfigError(f'num_members must be at least 1, got {num_members}')
        super().__init__(data_preprocessor, init_cfg)
        self.members = ModuleList(
            CrossModalityReIdentifier(
                backbone, head, neck, gather, channels_last, self.data_preprocessor, test_cfg)
            for _ in range(num_members))
        self.member_names = member_names(num_members)
        self.test_cfg = self.members[0].test_cfg

    def extract_feat(self, inputs: Tensor, modality: Tensor) -> Tensor:
        """Compute mean descriptors; features have no meaning for several networks at once.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared, in any order.

        Returns:
            Rows of ``base``, shape ``(N, D)``.
        """
        return self.describe(inputs, modality)['base']

    def loss(self, inputs: Tensor, data_samples: list[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute the losses of the member whose batch it is.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            data_samples: the N samples; each names the member as its ``branch``.

        Returns:
            Losses by name.

        Raises:
            ConfigError: if the batch does not say whose it is.
        """
        branch = BatchInfo.from_samples(data_samples).branch
        if branch is None and len(self.members) == 1:
            return self.members[0].loss(inputs, data_samples)
        if branch not in self.member_names:
            raise ConfigError(
                f'a batch of {type(self).__name__} says which of {", ".join(self.member_names)} '
                f'it is for, but this one says {branch!r}: use CoTeachingSampler with num_members='
                f'{len(self.members)}, and keep branch among the meta_keys of PackReIDInputs.')
        return self.members[self.member_names.index(branch)].loss(inputs, data_samples)

    def describe(self, inputs: Tensor, modality: Tensor, flip: bool | None = None,
                 normalize: bool = True) -> dict[str, Tensor]:
        """Compute the descriptors of images, as they are compared.

        Args:
            inputs: shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared.
            flip: as for :meth:`CrossModalityReIdentifier.describe`.
            normalize: scale means to unit length.

        Returns:
            Name -> rows of shape ``(N, D)``: the mean of the members for each descriptor that
            their heads give, and the ``base`` of each member by its name.
        """
        found = [
            member.describe(inputs, modality, flip=flip, normalize=normalize)
            for member in self.members
        ]
        means = {name: torch.stack([each[name] for each in found]).mean(0) for name in found[0]}
        if normalize:
            means = {name: functional.normalize(rows) for name, rows in means.items()}
        return {**means, **{name: each['base'] for name, each in zip(self.member_names, found)}}
