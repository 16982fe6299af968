"""Small models with weights, without training."""

import torch
from mmengine.config import Config

from mmvireid.registry import MODELS

#: Changes that give the tiny CIFT the two stems and the non-local block of AGW.
STEMS = {
    'model.backbone.modality_specific': 'stem',
    'model.backbone.non_local': dict(blocks=(0, 1, 0, 0), inter_channels=1),
    'model.neck': dict(type='GeneralizedMeanPooling'),
}


def write_checkpoint(config, path, options=None):
    """Save weights, with BatchNorm statistics as of a trained network."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(options or {})
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for name, parameter in model.named_parameters():
        if '.infrared.' in name:  # the two copies start equal; training parts them
            parameter.data += 0.1 * torch.randn_like(parameter)
    # BatchNorm statistics of some coarse pictures: descriptors then differ between images.
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    pictures = torch.nn.functional.interpolate(torch.randn(32, 3, 6, 3), scale_factor=8)
    with torch.no_grad():
        model.describe(pictures, torch.arange(32) % 2, flip=False)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=2, iter=6)), path)
    return path
