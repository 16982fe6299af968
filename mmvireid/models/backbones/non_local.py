"""Non-local blocks among the blocks of a ResNet."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from mmvireid.utils.errors import ConfigError


def insert_non_local(trunk: nn.Module, blocks: Sequence[int], inter_channels: int) -> list:
    """Put a non-local block after the last blocks of some stages.

    The affinity is a dot product divided by the number of positions; the start is that
    of :func:`init_non_local`, at which nothing changes. The names of the trunk's own
    blocks stay, so its checkpoints still load.

    Args:
        trunk: a ResNet of mmpretrain.
        blocks: for each stage, how many of its last blocks are followed by one; AGW's
            ResNet-50 has ``(0, 2, 3, 0)``.
        inter_channels: inner width. The released code of AGW and all its
            descendants divides a number by itself and so gets 1; the paper means half of
            the channels.

    Returns:
        The non-local blocks.

    Raises:
        ConfigError: if the trunk has no such stages, or the width does not divide theirs.
    """
    # Imported here: mmcv takes seconds, and most models have no such block.
    from mmcv.cnn import NonLocal2d

    inserted = []
    stages = getattr(trunk, 'res_layers', None)
    if stages is None:
        raise ConfigError(
            f'non-local blocks go between the blocks of a ResNet, not of a {type(trunk).__name__}')
    if len(blocks) != len(stages):
        raise ConfigError(f'non_local.blocks needs one number for each of the {len(stages)} '
                          f'stages of the trunk, got {tuple(blocks)}')
    for name, number in zip(stages, blocks):
        stage = getattr(trunk, name)
        if not 0 <= number <= len(stage):
            raise ConfigError(f'non_local.blocks asks for {number} non-local blocks in {name}, '
                              f'which has {len(stage)} blocks')
        layers = OrderedDict()
        for i, (key, block) in enumerate(stage.named_children()):
            layers[key] = block
            if i >= len(stage) - number:
                channels = block.out_channels
                if channels % inter_channels:
                    raise ConfigError(f'non_local.inter_channels is {inter_channels}, which does '
                                      f'not divide the {channels} channels of {name}')
                non_local = NonLocal2d(
                    channels,
                    reduction=channels // inter_channels,
                    mode='dot_product',
                    norm_cfg={'type': 'BN'})
                init_non_local(non_local)
                # Weights of a plain trunk may lack it: see load_matching_weights.
                non_local.from_scratch = True
                layers[f'non_local{key}'] = non_local
                inserted.append(non_local)
        stage._modules = layers
    return inserted


def init_non_local(block: nn.Module) -> None:
    """Draw a non-local block as the release of AGW does.

    Its four convolutions keep PyTorch's own scheme, uniform within ``1 / sqrt(C)`` for C
    input channels (for width 1 the output convolution is uniform within 1), and the batch
    normalisation of the output is zero, so that the block starts as the identity.
    mmcv's scheme, N(0, 0.01), is less than half as wide at AGW's 512 channels.
    The release has a bias in the output convolution too, which the batch normalisation
    takes out again.

    Args:
        block: a ``NonLocal2d`` of mmcv with a batch normalisation.
    """
    for part in (block.g, block.theta, block.phi, block.conv_out):
        part.conv.reset_parameters()
    nn.init.zeros_(block.conv_out.norm.weight)
    nn.init.zeros_(block.conv_out.norm.bias)
