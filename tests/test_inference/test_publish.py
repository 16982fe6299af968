"""Checkpoints that can be given away."""

import hashlib
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmvireid.apis import VIReIDInferencer
from mmvireid.checkpoints import publish_checkpoint
from mmvireid.config import load_config
from mmvireid.utils.errors import CheckpointError, ConfigError


@pytest.fixture
def trained(weights, tmp_path):
    """A checkpoint as MMEngine writes it, with more than weights in it."""
    content = torch.load(weights, weights_only=True)
    content['optimizer'] = dict(state={0: dict(momentum_buffer=torch.zeros(1000))})
    content['message_hub'] = dict(log_scalars={'loss': HistoryBuffer([1.0], [1])})
    content['meta'].update(dataset_meta=dict(dataset_name='regdb', trial=3), time='now')
    torch.save(content, tmp_path / 'epoch_2.pth')
    return tmp_path / 'epoch_2.pth'


def test_publish(trained, tiny_config, weights, tmp_path, footage):
    numbers = [dict(dataset='sysu', setting='all_single', ranking='cift', uses=['gallery'],
                    transductive=False, summary=dict(R1=63.35, mAP=66.04), trials={'0': {}})]
    (tmp_path / 'results.json').write_text(json.dumps(numbers))
    cfg = load_config(tiny_config)
    path = publish_checkpoint(cfg, trained, tmp_path / 'out', tmp_path / 'results.json')
    assert path == publish_checkpoint(cfg, trained, tmp_path / 'out', tmp_path / 'results.json')

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f'cift_tiny-{digest[:8]}.pth'
    content = torch.load(path, weights_only=True)  # executes nothing
    assert set(content) == {'state_dict', 'meta'}
    before = torch.load(weights, weights_only=True)['state_dict']
    assert all(torch.equal(content['state_dict'][name], value) for name, value in before.items())
    meta = content['meta']
    assert (meta['epoch'], meta['config_name']) == (2, 'cift_tiny')
    assert meta['dataset_meta'] == dict(dataset_name='regdb', trial=3)
    assert meta['metrics'] == [{k: v for k, v in numbers[0].items() if k != 'trials'}]
    text = tmp_path / 'config.py'
    text.write_text(meta['config'])
    assert Config.fromfile(text).model == cfg.model

    found, original = (VIReIDInferencer(text, file, 'cpu').extract(footage / 'day', 'visible')
                       for file in (path, weights))
    torch.testing.assert_close(found, original)


def test_what_cannot_be_published(trained, tiny_config, stem_weights, tmp_path):
    cfg = load_config(tiny_config)
    with pytest.raises(CheckpointError, match='made by another model'):
        publish_checkpoint(cfg, stem_weights)
    other = load_config(tiny_config, {'model.head.num_classes': 9})
    with pytest.raises(CheckpointError, match='made by another model'):
        publish_checkpoint(other, trained)  # a config that the weights are not of
    (tmp_path / 'numbers.json').write_text('{"mAP": 1}')
    with pytest.raises(ConfigError, match='holds no numbers of'):
        publish_checkpoint(cfg, trained, metrics=tmp_path / 'numbers.json')
