"""Modules behind the stages of a ResNet."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from mmvireid.utils.errors import ConfigError

from .per_modality import PerModality


class ExtendedStage(nn.Sequential):
    """A stage of a ResNet, followed by modules that the plain network does not have.

    It takes the place of the stage under its name and holds the same blocks under theirs,
    so checkpoints of the plain network still load. A module behind the blocks maps what is
    before it; one with the attribute ``takes_stage_input = True`` is called with the input
    of the stage as a second argument.

    Args:
        stage: the blocks of a ResNet of mmpretrain.

    Examples:
        >>> from collections import OrderedDict
        >>> import torch
        >>> from torch import nn
        >>> from mmvireid.models.backbones.extended_stage import ExtendedStage
        >>> class AddInput(nn.Module):
        ...     takes_stage_input = True
        ...     def forward(self, output, stage_input):
        ...         return output + stage_input
        >>> stage = ExtendedStage(nn.Sequential(OrderedDict({'0': nn.ReLU()})))
        >>> stage.add_module('add_input', AddInput())
        >>> stage(torch.tensor([-1., 2.]))
        tensor([-1.,  4.])
    """

    def __init__(self, stage: nn.Sequential) -> None:
        super().__init__()
        self._modules.update(stage._modules)
        blocks = [block.visible if isinstance(block, PerModality) else block for block in stage]
        # Non-local blocks among them keep the shape.
        self._blocks = [block for block in blocks if hasattr(block, 'out_channels')]

    @property
    def in_channels(self) -> int:
        """Channels of the map that enters the stage."""
        return self._blocks[0].in_channels

    @property
    def out_channels(self) -> int:
        """Channels of the map that leaves the blocks."""
        return self._blocks[-1].out_channels

    @property
    def stride(self) -> int:
        """How many times smaller the stage makes each side of the map."""
        return self._blocks[0].stride

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks, then the modules behind them.

        Args:
            x: shape ``(N, C, H, W)``.

        Returns:
            What the last module gives, usually of shape ``(N, C', H', W')``.
        """
        output = x
        for module in self:
            if getattr(module, 'takes_stage_input', False):
                output = module(output, x)
            else:
                output = module(output)
        return output


def extend_stages(trunk: nn.Module, stages: Sequence[int], name: str,
                  build: Callable[[ExtendedStage], nn.Module]) -> list[nn.Module]:
    """Put a module behind each of some stages.

    Args:
        trunk: a ResNet of mmpretrain.
        stages: which stages, counted from 0.
        name: of the modules among the children of their stages, and of the option of the
            backbone that asks for them.
        build: makes the module of a stage; ``in_channels``, ``out_channels`` and ``stride``
            of the stage say what it has to fit.

    Returns:
        The new modules. Weights of a plain trunk may lack them, see
        :func:`mmvireid.checkpoints.matching.load_matching_weights`.

    Raises:
        ConfigError: if the trunk is no ResNet, lacks one of the stages, or has it once for
            each modality.
    """
    layers = getattr(trunk, 'res_layers', None)
    if layers is None:
        raise ConfigError(f'{name} goes behind the stages of a ResNet, not of a '
                          f'{type(trunk).__name__}')
    added = []
    for number in stages:
        if not 0 <= number < len(layers):
            raise ConfigError(
                f'{name} is to go behind stage {number}, but the stages of the trunk are '
                f'0 to {len(layers) - 1}')
        stage = getattr(trunk, layers[number])
        if isinstance(stage, PerModality):
            raise ConfigError(f'{name} cannot go behind {layers[number]}, of which each modality '
                              'has a copy: take it out of modality_specific')
        if not isinstance(stage, ExtendedStage):
            stage = ExtendedStage(stage)
            setattr(trunk, layers[number], stage)
        module = build(stage)
        module.from_scratch = True
        stage.add_module(name, module)
        added.append(module)
    return added
