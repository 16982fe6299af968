"""Start from ImageNet weights where they can be had."""

import logging
import os
import pickle
from http.client import HTTPException
from inspect import signature
from pathlib import Path
from typing import Optional

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.model import PretrainedInit, initialize, update_init_info
from mmengine.runner.checkpoint import CheckpointLoader, get_torchvision_models
from mmengine.utils.dl_utils import load_url
from torch import nn

from mmvireid.registry import WEIGHT_INITIALIZERS
from mmvireid.utils.errors import CheckpointError

from .matching_weights import load_matching_weights

SCHEMES = ('torchvision', 'http', 'https')
#: What a file that is no checkpoint, or half of one, raises when it is read.
BROKEN_FILE = (OSError, RuntimeError, EOFError, pickle.UnpicklingError)


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
                 prefix: Optional[str] = None,
                 map_location: Optional[str] = None,
                 made_by: Optional[str] = None) -> None:
        super().__init__(checkpoint, prefix, map_location)
        self.made_by = made_by

    def __call__(self, module: nn.Module) -> None:
        """Initialise a module.

        Args:
            module: backbone whose parameters have the names of the checkpoint.
        """
        if '://' not in self.checkpoint:
            if not Path(self.checkpoint).expanduser().is_file():
                hint = f': make it by "{self.made_by}"' if self.made_by else ''
                raise CheckpointError(
                    f'there is no file "{self.checkpoint}" with pre-trained weights{hint}.')
            self._load(module)
            return
        url = self._address()
        reason = ''
        if int(os.environ.get('LOCAL_RANK', 0)) == 0:
            reason = self._download(url)
        available = torch.tensor(int(not reason))
        all_reduce(available, op='min')
        if available.item():
            self._load(module)
        else:
            self._start_from_scratch(module, url, reason)

    def _address(self) -> str:
        """Return the address behind a ``torchvision://`` name."""
        scheme, name = self.checkpoint.split('://', 1)
        if scheme not in SCHEMES:
            raise CheckpointError(
                f'pre-trained weights cannot come from "{self.checkpoint}": set '
                'model.backbone.init_cfg.checkpoint to torchvision://<model>, an http(s):// '
                'address or a file.')
        if scheme != 'torchvision':
            return self.checkpoint
        models = get_torchvision_models()
        if name not in models:
            raise CheckpointError(f'torchvision has no pre-trained model "{name}".')
        return models[name]

    def _download(self, url: str) -> str:
        """Bring the file to this machine; return why that failed, or nothing."""
        try:
            # The files of torchvision have a part of their hash in the name. A dash in
            # other addresses means nothing.
            load_url(
                url, map_location='cpu', check_hash=self.checkpoint.startswith('torchvision://'))
        except (HTTPException, *BROKEN_FILE) as error:
            # No network and time-outs are OSErrors, another hash is a RuntimeError.
            return str(error) or type(error).__name__
        return ''

    def _load(self, module: nn.Module) -> None:
        try:
            checkpoint = CheckpointLoader.load_checkpoint(
                self.checkpoint, self.map_location, logger='current')
        except BROKEN_FILE as error:
            raise CheckpointError(
                f'"{self.checkpoint}" cannot be read as a checkpoint ({type(error).__name__}): '
                'set model.backbone.init_cfg.checkpoint to another file.') from error
        load_matching_weights(module, checkpoint, self.checkpoint, self.prefix)
        if hasattr(module, '_params_init_info'):  # MMEngine's record of the parameters
            update_init_info(module, init_info=self._get_init_info())

    def _start_from_scratch(self, module: nn.Module, url: str, reason: str) -> None:
        family_default = signature(type(module)).parameters.get('init_cfg')
        if family_default is not None and family_default.default:
            initialize(module, family_default.default)
            # What a family does after its init_cfg, such as zeros at the end of residual
            # branches, it leaves out where the config says Pretrained.
            module.init_cfg = family_default.default
        target = Path(torch.hub.get_dir()) / 'checkpoints' / url.rsplit('/', 1)[-1]
        print_log(
            f'The pre-trained weights {self.checkpoint} are not available'
            f'{f" ({reason})" if reason else ""}: the backbone is trained FROM SCRATCH, and '
            'results will be far below published ones. To use them, put the file at '
            f'{target}, or set model.backbone.init_cfg.checkpoint=/path/to/file.',
            logger='current',
            level=logging.WARNING)
