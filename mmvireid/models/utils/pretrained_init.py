"""Start from ImageNet weights where they can be had."""

import logging
import os
from inspect import signature

from mmengine.logging import print_log
from mmengine.model import PretrainedInit, initialize, update_init_info
from torch import nn

from mmvireid.checkpoints import load_matching_weights, read_checkpoint
from mmvireid.compat import records_initialisation
from mmvireid.registry import WEIGHT_INITIALIZERS
from mmvireid.utils.errors import CheckpointError, CheckpointUnavailableError
from mmvireid.utils.paths import expand_path


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class PretrainedIfAvailable(PretrainedInit):
    """Load pre-trained weights, or say clearly that the network starts from scratch.

    Takes the place of MMEngine's ``Pretrained`` in the scope of mmvireid, under the same
    name, by which backbones tell whether they are pre-trained. A machine without a way
    to the network can then still train; the log names the file to bring, and the
    backbone gets the random weights of its family. A download that breaks off counts as
    unavailable too. One process of each machine downloads, and all processes agree, so
    that never one rank starts from weights that another lacks.

    Weights of another network are an error: MMEngine would load those that happen to
    fit, and the rest would stay random.

    Args:
        checkpoint: ``torchvision://<model>``, an ``http(s)://`` address, or a file. A
            file that is missing is an error: whoever names one means it.
        prefix: name of the part of a larger model to load; ``backbone.trunk`` is the trunk
            of a model that this toolbox trained.
        map_location: as in :func:`torch.load`.
        made_by: command that makes the file, for the message if it is missing.

    Raises:
        CheckpointError: if ``checkpoint`` names a file or a torchvision model that does
            not exist, an address of another scheme, a broken file, or the weights of
            another network.
    """

    def __init__(self,
                 checkpoint: str,
                 prefix: str | None = None,
                 map_location: str | None = None,
                 made_by: str | None = None) -> None:
        super().__init__(checkpoint, prefix, map_location)
        self.made_by = made_by

    def __call__(self, module: nn.Module) -> None:
        """Initialise a module.

        Args:
            module: backbone whose parameters have the names of the checkpoint.
        """
        if '://' not in self.checkpoint and not os.path.isfile(expand_path(self.checkpoint)):
            hint = f': make it by "{self.made_by}"' if self.made_by else ''
            raise CheckpointError(
                f'there is no file "{self.checkpoint}" with pre-trained weights{hint}.')
        try:
            content = read_checkpoint(self.checkpoint, self.map_location)
        except CheckpointUnavailableError as error:
            self._start_from_scratch(module, error)
            return
        load_matching_weights(module, content, self.checkpoint, self.prefix)
        if records_initialisation(module):
            update_init_info(module, init_info=self._get_init_info())

    def _start_from_scratch(self, module: nn.Module, reason: CheckpointUnavailableError) -> None:
        family_default = signature(type(module)).parameters.get('init_cfg')
        if family_default is not None and family_default.default:
            initialize(module, family_default.default)
            # What a family does after its init_cfg, such as zeros at the end of residual
            # branches, it leaves out where the config says Pretrained.
            module.init_cfg = family_default.default
        print_log(
            'The backbone is trained FROM SCRATCH, and results will be far below published ones: '
            f'its pre-trained weights {reason} A file is named by '
            'model.backbone.init_cfg.checkpoint=/path/to/file.',
            logger='current',
            level=logging.WARNING)
