"""A backbone for images of two modalities."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError

from .alleviation import ModalityAlleviation
from .embedding_expansion import DiverseEmbeddingExpansion
from .extended_stage import extend_stages
from .feature_aggregation import MultiStageFeatureAggregation
from .non_local import init_non_local, insert_non_local
from .per_modality import ModalityRoute, PerModality

#: Names of the modules before the first stage, in the families of mmpretrain. The
#: first line whose modules a trunk has is its stem.
STEMS = (
    ('stem', ),  # ResNet with deep_stem, DenseNet, RepVGG, CSPNet
    ('patch_embed', ),  # vision transformers, PoolFormer, EfficientFormer
    ('conv1', 'bn1'),  # ResNet, ResNeXt, RegNet, HRNet
    ('conv1', ),  # MobileNetV2, ShuffleNet
    ('downsample_layers.0', ),  # ConvNeXt
    ('stage0', ),  # MobileOne
    ('layer0', ),  # MobileNetV3
    ('layers.0', ),  # EfficientNet
)


@MODELS.register_module()
class CrossModalityBackbone(BaseModule):
    """Wrap any backbone of mmpretrain, and say what each modality has to itself.

    One key decides: ``modality_specific=()`` shares the whole trunk, ``'stem'`` gives
    visible and infrared images a stem each (the two-stream networks of AGW and CAJ),
    and names give each modality its copy of these modules.

    Args:
        trunk: config of a backbone, for example ``dict(type='mmpretrain.ResNet',
            depth=50, strides=(1, 2, 2, 1))``, or a backbone. A trunk config with
            ``init_cfg=None`` starts with the random weights of its family.
        modality_specific: ``()``, ``'stem'``, or names of modules of the trunk such as
            ``('conv1', 'bn1')``.
        non_local: ``dict(blocks=(0, 2, 3, 0), inter_channels=1)`` puts non-local blocks
            into a ResNet; see :func:`insert_non_local`.
        alleviation: ``dict(after_stages=(2, 3), reduction=16)`` puts a
            :class:`ModalityAlleviation` behind these stages of a ResNet, counted from 0.
        aggregation: ``dict(stages=(0, 1, 2), fold_positions=True)`` lets each of these stages
            end with a :class:`MultiStageFeatureAggregation` of its output and its input.
        expansion: ``dict(after_stage=2, dropout=0.01)`` puts a
            :class:`DiverseEmbeddingExpansion` behind this stage, after its aggregation. What
            the trunk returns from there on has three times as many rows.
        init_cfg: handed to the trunk, for example ``dict(type='Pretrained',
            checkpoint='torchvision://resnet50')``. Weights of the stem load into both
            copies.

    Raises:
        ValueError: if the trunk has no module of a given name.

    Examples:
        A trunk of one's own works like one of mmpretrain.

        >>> from collections import OrderedDict
        >>> import torch
        >>> from torch import nn
        >>> from mmvireid.models import CrossModalityBackbone
        >>> trunk = nn.Sequential(OrderedDict(
        ...     stem=nn.Conv2d(3, 8, 3), body=nn.Conv2d(8, 16, 3)))
        >>> backbone = CrossModalityBackbone(trunk, modality_specific='stem')
        >>> maps = backbone(torch.rand(2, 3, 9, 9), modality=torch.tensor([0, 1]))
        >>> maps.shape
        torch.Size([2, 16, 5, 5])
        >>> [name for name, _ in backbone.named_parameters() if name.endswith('weight')]
        ['trunk.stem.visible.weight', 'trunk.stem.infrared.weight', 'trunk.body.weight']
    """

    def __init__(self,
                 trunk: dict | nn.Module,
                 modality_specific: str | Sequence[str] = (),
                 non_local: dict | None = None,
                 alleviation: dict | None = None,
                 aggregation: dict | None = None,
                 expansion: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__()
        if not isinstance(trunk, nn.Module):
            trunk = {k: v for k, v in trunk.items() if k != 'init_cfg' or v is not None}
            if init_cfg is not None:
                trunk['init_cfg'] = init_cfg
            trunk = MODELS.build(trunk)
        elif init_cfg is not None:
            trunk.init_cfg = init_cfg
        self.trunk = trunk
        self.route = ModalityRoute()
        self.modality_specific = self._resolve(modality_specific)
        for name in self.modality_specific:
            parent, _, leaf = name.rpartition('.')
            module = self.trunk.get_submodule(name)
            self.trunk.get_submodule(parent)._modules[leaf] = PerModality(module, self.route)
        self.non_local = []
        if non_local is not None:
            self.non_local = insert_non_local(self.trunk, **non_local)
        #: Modules behind stages, which the plain trunk does not have.
        self.extensions = []
        if alleviation is not None:
            self.extensions += self._alleviate(**alleviation)
        if aggregation is not None:
            self.extensions += self._aggregate(**aggregation)
        if expansion is not None:
            self.extensions += self._expand(**expansion)

    def forward(self, x: Tensor, modality: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps of a batch.

        Args:
            x: images of shape ``(N, 3, H, W)``.
            modality: shape ``(N,)``, 0 visible, 1 infrared, in any order; best on the
                CPU.

        Returns:
            What the trunk returns, usually a tuple with one map for each stage asked for.
        """
        if self.modality_specific:
            self.route.set(modality, x.device)
        return self.trunk(x)

    def init_weights(self) -> None:
        """Initialise the trunk; both copies of a module start equal."""
        super().init_weights()
        for module in self.trunk.modules():
            if isinstance(module, PerModality):
                module.start_equal()
        for block in self.non_local:
            # A trunk's own scheme, or mmcv's, has drawn all convolutions and may have set
            # every batch normalisation to one.
            init_non_local(block)
        for module in self.extensions:
            module.init_weights()

    def _alleviate(self, after_stages: Sequence[int], **gate: int) -> list[nn.Module]:
        return extend_stages(self.trunk, after_stages, 'alleviation',
                             lambda stage: ModalityAlleviation(stage.out_channels, **gate))

    def _aggregate(self, stages: Sequence[int], **attention: bool) -> list[nn.Module]:
        return extend_stages(
            self.trunk, stages, 'aggregation',
            lambda stage: MultiStageFeatureAggregation(
                stage.out_channels, stage.in_channels, stage.stride, **attention))

    def _expand(self, after_stage: int, **dropout: float) -> list[nn.Module]:
        return extend_stages(
            self.trunk, [after_stage], 'expansion',
            lambda stage: DiverseEmbeddingExpansion(stage.out_channels, **dropout))

    def _resolve(self, names: str | Sequence[str]) -> tuple[str, ...]:
        modules = dict(self.trunk.named_modules())
        family = type(self.trunk).__name__
        children = ', '.join(name for name, _ in self.trunk.named_children())
        if names == 'stem':
            for stem in STEMS:
                if all(name in modules for name in stem):
                    return stem
            raise ConfigError(
                f'the stem of {family} is not known: name its modules in modality_specific; '
                f'the trunk has {children}')
        names = (names, ) if isinstance(names, str) else tuple(names)
        for name in names:
            if not name or name not in modules:
                raise ConfigError(
                    f'modality_specific names {name!r}, but {family} has no such module; '
                    f'it has {children}')
            inside = [other for other in names if name.startswith(f'{other}.')]
            if inside:
                raise ConfigError(f'modality_specific names {name!r} and {inside[0]!r}, of which '
                                  'one is inside the other: name one of them')
        return names
