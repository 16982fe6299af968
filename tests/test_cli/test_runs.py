"""Training and testing of a config."""

import torch
from mmengine.model import BaseModule
from mmengine.registry import init_default_scope
from torch import nn

from mmvireid.cli import load_pretrained_parts


class Part(BaseModule):

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.layer = nn.Linear(3, 2)


def test_only_parts_that_name_weights_get_them(tmp_path):
    init_default_scope('mmvireid')
    saved = Part()
    torch.save(saved.state_dict(), tmp_path / 'part.pth')
    model = nn.ModuleDict(dict(
        named=Part(dict(type='Pretrained', checkpoint=str(tmp_path / 'part.pth'))),
        other=Part(), drawn=Part(dict(type='Constant', layer='Linear', val=7.0))))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_pretrained_parts(model)
    torch.testing.assert_close(model['named'].layer.weight, saved.layer.weight, rtol=0, atol=0)
    for name in ('other', 'drawn'):
        assert torch.equal(model[name].layer.weight, before[f'{name}.layer.weight'])
