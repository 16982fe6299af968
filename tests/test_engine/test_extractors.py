"""Descriptors of the training set, before it is labelled."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmvireid.datasets import SYSUMM01
from mmvireid.engine import TrainingSetExtractor, describe
from mmvireid.models import CrossModalityReIdentifier
from mmvireid.utils.errors import ConfigError, UsageError

PIPELINE = [dict(type='LoadReIDImage', size=(24, 12)), dict(type='PackReIDInputs')]


@pytest.fixture
def run(tiny_sysu):
    """A run as far as an extractor is concerned, whose training images are not what they were."""
    torch.manual_seed(0)
    model = CrossModalityReIdentifier(
        backbone=dict(type=nn.Conv2d, in_channels=3, out_channels=8, kernel_size=8, stride=4),
        neck=dict(type='GeneralizedMeanPooling'),
        data_preprocessor=dict(mean=[120.0] * 3, std=[60.0] * 3),
        head=dict(type='CIFTHead', num_classes=8, in_channels=8, noise='shared'))
    dataset = SYSUMM01(tiny_sysu, pipeline=[lambda data: pytest.fail('augmented images')])
    return SimpleNamespace(model=model, seed=0, build_dataloader=Runner.build_dataloader,
                           train_dataloader=SimpleNamespace(dataset=dataset))


def test_every_image_in_its_place_and_nobody_named(run):
    extractor = TrainingSetExtractor(
        PIPELINE, batch_size=7, num_workers=0, descriptors=('base', 'i2r'))
    dataset = run.train_dataloader.dataset
    images = extractor(run)
    assert len(images) == len(dataset)
    np.testing.assert_array_equal(images.modality, dataset.modalities)
    np.testing.assert_array_equal(images.camera, dataset.cameras)
    np.testing.assert_array_equal(images.sample_idx, np.arange(len(dataset)))
    assert set(images.identity) == {-1}
    assert not images.img_path
    assert set(images.descriptors) == {'base', 'i2r'}

    alone = SYSUMM01(dataset.data_root, pipeline=PIPELINE)
    with torch.no_grad():
        for i in (0, len(dataset) - 1):
            loaded = alone[i]
            batch = run.model.data_preprocessor(
                dict(inputs=[loaded['inputs']], data_samples=[loaded['data_samples']]))
            expected = run.model.describe(
                batch['inputs'], torch.tensor([dataset.modalities[i]]), flip=True,
                normalize=False)
            for name, rows in images.descriptors.items():
                torch.testing.assert_close(rows[i], expected[name][0], atol=1e-5, rtol=1e-5)


def test_mean_of_two_views_is_as_long_as_they_agree(run):
    lengths = {
        (flip, normalize): TrainingSetExtractor(
            PIPELINE, num_workers=0, flip=flip, normalize=normalize)(run)
        .descriptors['base'].norm(dim=1)
        for flip, normalize in ((True, False), (True, True), (False, False))
    }
    assert (lengths.pop((True, False)) < 1 - 1e-4).all()
    for unit in lengths.values():
        torch.testing.assert_close(unit, torch.ones_like(unit))


def test_images_are_described_without_a_runner(run):
    """In any order, with the annotations that the dataset has."""
    dataset = SYSUMM01(run.train_dataloader.dataset.data_root, pipeline=PIPELINE)
    loading = dict(batch_size=5, collate_fn=pseudo_collate)
    images = describe(run.model, DataLoader(dataset, shuffle=True, **loading), flip=True,
                      normalize=False)
    wanted = TrainingSetExtractor(PIPELINE, num_workers=0)(run).descriptors['base']
    torch.testing.assert_close(images.descriptors['base'], wanted)
    assert set(images.descriptors) == {'base', 'i2r', 'r2i'}
    np.testing.assert_array_equal(images.identity, dataset.identities)
    assert images.img_path == dataset.img_paths

    with pytest.raises(ConfigError, match='no descriptor "parts": choose of'):
        describe(run.model, DataLoader(dataset, **loading), descriptors=['parts'])
    with pytest.raises(UsageError, match=f'{len(dataset) - 5} images were not described'):
        describe(run.model, DataLoader(dataset, sampler=range(5), **loading))
