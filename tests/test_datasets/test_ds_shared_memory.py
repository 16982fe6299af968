"""Data-loading processes and the memory that they share with the training."""

import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset

from mmvireid.datasets import PackReIDInputs
from mmvireid.utils.errors import EnvironmentMismatchError


class Images(Dataset):
    """Grey images, each of its number."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return PackReIDInputs()({'img': torch.full((8, 4, 3), index).byte().numpy()})


def load(num_workers):
    loader = DataLoader(Images(), 3, collate_fn=pseudo_collate, num_workers=num_workers,
                        multiprocessing_context='fork' if num_workers else None)
    return [image for batch in loader for image in batch['inputs']]


def test_images_of_other_processes_are_the_same():
    for own, other in zip(load(0), load(2), strict=True):
        assert torch.equal(own, other)
        assert not own.is_shared()


def test_no_room_is_an_error_and_no_endless_wait(monkeypatch):
    """A container has 64 MB unless somebody asks for more."""

    def full(self):
        raise RuntimeError('unable to allocate shared memory(shm): No space left on device')

    monkeypatch.setattr(torch.Tensor, 'share_memory_', full)
    with pytest.raises(EnvironmentMismatchError, match='no room in shared memory .*--shm-size'):
        load(2)
    assert len(load(0)) == 6
