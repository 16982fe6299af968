"""Order and scale of a batch."""

import pytest
import torch

from mmvireid.models import ReIDDataPreprocessor
from mmvireid.structures import ReIDDataSample


def sample(index, modality):
    return ReIDDataSample(metainfo={
        'img_path': f'{index}.jpg', 'sample_idx': index, 'identity': index, 'label': index,
        'camera': 1, 'modality': modality})


def loaded(modalities, views):
    """Image i, view v has the constant value 10 i + v."""
    inputs = [
        torch.stack([torch.full((3, 4, 2), 10 * i + v, dtype=torch.uint8)
                     for v in range(views[m])]) for i, m in enumerate(modalities)
    ]
    return {'inputs': inputs, 'data_samples': [sample(i, m) for i, m in enumerate(modalities)]}


def values(batch):
    return batch['inputs'][:, 0, 0, 0].tolist()


def rows(batch):
    return [s.sample_idx for s in batch['data_samples']]


def views(batch):
    return [s.view for s in batch['data_samples']]


def test_training_order_is_modality_then_view():
    batch = ReIDDataPreprocessor()(loaded([1, 0, 1, 0], views={0: 2, 1: 1}), training=True)
    assert values(batch) == [10, 30, 11, 31, 0, 20]
    assert rows(batch) == [1, 3, 1, 3, 0, 2]
    assert views(batch) == [0, 0, 1, 1, 0, 0]
    assert batch['inputs'].shape == (6, 3, 4, 2)
    assert batch['inputs'].dtype == torch.float32


def test_one_modality():
    batch = ReIDDataPreprocessor()(loaded([1, 1], views={1: 2}), training=True)
    assert values(batch) == [0, 10, 1, 11]
    assert views(batch) == [0, 0, 1, 1]


def test_test_order_is_kept():
    batch = ReIDDataPreprocessor()(loaded([1, 0, 1, 0], views={0: 1, 1: 1}))
    assert values(batch) == [0, 10, 20, 30]
    assert rows(batch) == [0, 1, 2, 3]


def test_normalises_per_channel():
    processor = ReIDDataPreprocessor(mean=[1, 2, 3], std=[2.0, 4.0, 8.0])
    image = torch.full((1, 3, 1, 1), 11, dtype=torch.uint8)
    out = processor({'inputs': [image], 'data_samples': [sample(0, 0)]})
    assert out['inputs'].flatten().tolist() == pytest.approx([10 / 2, 9 / 4, 8 / 8])
    # Float images were normalised by the pipeline.
    out = processor({'inputs': [image.float()], 'data_samples': [sample(0, 0)]})
    assert out['inputs'].flatten().tolist() == [11, 11, 11]
    assert not processor.state_dict()


def test_input_is_not_changed():
    data = loaded([1, 0], views={0: 1, 1: 1})
    before = [image.clone() for image in data['inputs']]
    ReIDDataPreprocessor(mean=[1, 1, 1], std=[2, 2, 2])(data, training=True)
    assert all(torch.equal(a, b) for a, b in zip(data['inputs'], before))
    assert [s.sample_idx for s in data['data_samples']] == [0, 1]
    assert not any('view' in s for s in data['data_samples'])


def test_two_views_of_a_test_image():
    with pytest.raises(ValueError, match='1.jpg comes in 2'):
        ReIDDataPreprocessor()(loaded([1, 0], views={0: 2, 1: 1}))


def test_uneven_views():
    data = loaded([0, 0], views={0: 1})
    data['inputs'][0] = data['inputs'][0].repeat(2, 1, 1, 1)
    with pytest.raises(ValueError, match=r'visible images.*views, got \[1, 2\]'):
        ReIDDataPreprocessor()(data, training=True)


def test_mean_without_std():
    with pytest.raises(ValueError, match='both'):
        ReIDDataPreprocessor(mean=[1, 2, 3])
