"""Value objects."""

import numpy as np
import pytest
import torch

from mmvireid.structures import BatchInfo, ImageSet, ReIDDataSample, RetrievalResult
from mmvireid.utils.errors import ConfigError


def images(n=4, dim=3, seed=0):
    rows = torch.nn.functional.normalize(
        torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)))
    index = np.arange(n)
    paths = [f'{i}.jpg' for i in index]
    return ImageSet(dict(base=rows), index, index + 1, index % 2, index, paths)


def test_rows_must_agree():
    with pytest.raises(ValueError, match=r"got \{'camera': 3\} rows"):
        ImageSet(dict(base=torch.zeros(4, 2)), np.arange(4), np.arange(3), np.arange(4),
                 np.arange(4))


@pytest.mark.parametrize('index', [slice(1, 3), np.array([1, 2]),
                                   np.array([False, True, True, False])])
def test_selection_takes_every_column(index):
    part = images()[index]
    assert part.identity.tolist() == [1, 2]
    assert part.img_path == ['1.jpg', '2.jpg']
    assert torch.equal(part.descriptors['base'], images().descriptors['base'][1:3])


def test_distance_must_fit():
    with pytest.raises(ValueError, match=r'need a distance of shape \(4, 2\), got \(2, 4\)'):
        RetrievalResult(images(4), images(2), torch.zeros(2, 4))


def test_cosine_ranks_itself_first():
    result = RetrievalResult.from_descriptors(images(), images())
    assert result.topk(1).flatten().tolist() == [0, 1, 2, 3]
    assert result.topk(9).shape == (4, 4)
    flipped = result.with_distance(-result.distance)
    assert flipped.query is result.query
    assert not torch.equal(flipped.topk(1), result.topk(1))


def test_unknown_descriptor_names_the_known_ones():
    with pytest.raises(ValueError, match='no descriptor "i2r"; the model gives base'):
        RetrievalResult.from_descriptors(images(), images(), 'i2r')


def sample(index, **known):
    return ReIDDataSample(metainfo=dict(sample_idx=index, modality=index % 2, **known))


def test_a_batch_knows_what_its_samples_know():
    info = BatchInfo.from_samples([
        sample(5, label=2, camera=3, view=1, branch='cross'), sample(8, branch='cross')])
    assert {name: getattr(info, name).tolist()
            for name in ('index', 'modality', 'label', 'camera', 'view')} == dict(
                index=[5, 8], modality=[1, 0], label=[2, -1], camera=[3, 0], view=[1, 0])
    assert info.branch == 'cross'
    assert BatchInfo.from_samples([sample(5)]).branch is None
    with pytest.raises(ConfigError, match=r"of the branches \['None', 'cross'\].*batch_size"):
        BatchInfo.from_samples([sample(5, branch='cross'), sample(8)])


def test_rows_of_a_batch_are_ordered_together():
    info = BatchInfo(modality=torch.tensor([1, 0, 1]), index=torch.tensor([7, 8, 9]), branch='a')
    ordered = info[info.modality.argsort(stable=True)]
    assert (ordered.index.tolist(), ordered.modality.tolist()) == ([8, 7, 9], [0, 1, 1])
    assert ordered.branch == 'a'
    assert info[info.modality == 1].index.tolist() == info[::2].index.tolist() == [7, 9]
    assert len(info) == 3
    assert {rows.device.type for rows in vars(info.to('meta')).values()
            if isinstance(rows, torch.Tensor)} == {'meta'}
    with pytest.raises(ValueError, match='modality of 3 rows, but label of 2'):
        BatchInfo(modality=torch.zeros(3), label=torch.zeros(2))
