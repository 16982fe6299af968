"""Pictures of data and models: what they draw is right, and the tools run as their main."""

import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.visualization import TransferGraph


@pytest.fixture
def module(repo_root):
    """Load a tool without running it."""
    return lambda name: runpy.run_path(str(repo_root / 'tools' / 'visualization' / name))


@pytest.fixture
def tool(repo_root, tmp_path, monkeypatch, capsys):
    """Run a tool's main; give back the picture, or what it complained about."""

    def run(name, *arguments):
        out = tmp_path / 'new' / f'{name}.png'
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments), '--out', str(out)])
        try:
            runpy.run_path(str(repo_root / 'tools/visualization' / name), run_name='__main__')
        except SystemExit:
            return capsys.readouterr().err
        with Image.open(out) as picture:
            return np.array(picture.convert('RGB')).astype(int)

    return run


def save_untrained(config, path):
    torch.save(dict(state_dict=MODELS.build(Config.fromfile(config).model).state_dict()), path)
    return path


def test_browsing_undoes_the_normalisation(tool, tiny_config, tmp_path):
    """Where nothing else happens to an image, the network gets what the file shows."""
    config = tmp_path / 'plain.py'
    config.write_text(f"""
_base_ = ['{tiny_config}']
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadReIDImage', size=(48, 24)),
    dict(type='MultiView', views=[[dict(
        type='Normalize', mean=[100., 50., 20.], std=[10., 20., 90.], to_rgb=False)]] * 2),
    dict(type='PackReIDInputs')]))
""")
    sheet = tool('browse_dataset.py', config, '--number', 2, '--draws', 1, '--height', 96)
    row = slice(60, 148)  # within the first row of pictures
    file, *views = (sheet[row, x:x + 48] for x in (8, 80, 136))
    for view in views:
        assert np.abs(view - file).mean() < 12
        assert file.std() > 10
    assert sheet.shape[0] == 56 + 2 * (96 + 18 + 8)


def test_similarity_is_where_the_two_images_agree(module):
    """Image A has one thing above, another below; B has only the first."""
    compute_maps = module('vis_cam.py')['compute_maps']
    first, second = torch.zeros(2, 3, 8, 4)
    first[0, :4] = 1
    first[1, 4:] = 1
    second[0, 2:6] = 1
    head = SimpleNamespace(predict=lambda x: dict(base=functional.normalize(x)))
    model = SimpleNamespace(
        backbone=lambda images, modality: functional.avg_pool2d(images, 2),
        neck=lambda maps: maps.mean((2, 3)), head=head, memory_format=torch.contiguous_format)
    pair, modality = torch.stack([first, second]), torch.tensor([0, 1])
    similarity = compute_maps(model, pair, modality, 'similarity')
    assert similarity.shape == (2, 8, 4)
    assert similarity[0, 1].min() > 0.8
    assert similarity[0, 6].max() < 0.2
    activation = compute_maps(model, pair * torch.tensor([[[[1.]], [[3.]], [[1.]]]]), modality,
                      'activation')
    assert activation[0, 6].min() > 0.8 > 0.5 > activation[0, 1].max()


def test_share_of_the_right_person():
    identity = np.array([1, 2, 1, 2])
    is_query = np.array([False, False, True, True])
    graph = torch.tensor([[1., 0, 0, 0], [0, 1, 0, 0], [.3, .1, .6, 0], [.2, .2, 0, .6]])
    assert TransferGraph(graph, identity, is_query).share_from_same_person() == pytest.approx(
        100 * 0.5 / 0.8)


def test_maps_and_graphs_of_a_checkpoint(tool, tiny_config, tmp_path):
    checkpoint = save_untrained(tiny_config, tmp_path / 'epoch_1.pth')
    sheet = tool('vis_cam.py', tiny_config, checkpoint, '--people', 2)
    # The map is warm, the infrared file beside it is grey.
    grey, warm = sheet[80:200, 208 + 8:208 + 90], sheet[80:200, 312 + 8:312 + 90]
    assert np.ptp(grey, axis=2).max() < 12
    assert np.ptp(warm, axis=2).max() > 40
    two = tool('vis_affinity.py', tiny_config, checkpoint, '--people', 3, '--images', 2,
               '--compare', tiny_config, checkpoint)
    assert two.shape[1] > 1.4 * two.shape[0]
    assert tool('vis_tsne.py', tiny_config, checkpoint, '--people', 3).shape == (800, 900, 3)
    assert 'Error: the model gives no descriptor "x"' in tool(
        'vis_tsne.py', tiny_config, checkpoint, '--descriptor', 'x')

    plain = tmp_path / 'plain.py'
    plain.write_text(f"_base_ = ['{tiny_config}']\nmodel = dict(head=dict("
                     "_delete_=True, type='BNNeckHead', num_classes=8, in_channels=64))\n")
    checkpoint = save_untrained(plain, tmp_path / 'plain.pth')
    printed = tool('vis_affinity.py', plain, checkpoint)
    assert 'test_evaluator.rankings.cift.scorer.graph is taken from model.head.graph' in (
        printed)
