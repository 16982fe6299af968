"""Value objects."""

import numpy as np
import pytest
import torch

from mmvireid.structures import ImageSet, RetrievalResult


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
