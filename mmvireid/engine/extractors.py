"""Descriptors of whole datasets, on every process."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.dist import all_reduce
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmvireid.registry import TASK_UTILS, TRANSFORMS
from mmvireid.structures import BatchInfo, ImageSet
from mmvireid.utils.errors import ConfigError, UsageError
from mmvireid.utils.wrappers import unwrap_model

__all__ = ['TrainingSetExtractor', 'describe']


@torch.no_grad()
def describe(model: nn.Module,
             loader: DataLoader,
             *,
             descriptors: Sequence[str] | None = None,
             flip: bool | None = None,
             normalize: bool = True) -> ImageSet:
    """Compute the descriptors of all images of a dataset, without a Runner.

    With several processes each describes the images that its loader gives it, and all of them
    end with all descriptors.

    Args:
        model: a re-identifier, also in a wrapper; it is left in evaluation mode.
        loader: batches of one of our datasets, through a pipeline that ends with
            ``PackReIDInputs``, in any order.
        descriptors: names of those that are kept, of all that the head gives; None for all.
        flip: average the descriptors of an image and of its mirror image; None does as the
            model's ``test_cfg`` says.
        normalize: scale such a mean to unit length.

    Returns:
        The N images of ``loader.dataset`` in its order, with descriptors of shape ``(N, D)``
        on the model's device.

    Raises:
        ConfigError: if the model gives no descriptor of a name.
        UsageError: if an image has not been seen by any process.
    """
    model = unwrap_model(model)
    model.eval()
    dataset = loader.dataset
    num = len(dataset)
    table: dict[str, torch.Tensor] = {}
    for batch in loader:
        data = model.data_preprocessor(batch, False)
        info = BatchInfo.from_samples(data['data_samples'])
        found = model.describe(data['inputs'], info.modality, flip=flip, normalize=normalize)
        missing = [name for name in descriptors or () if name not in found]
        if missing:
            raise ConfigError(f'the model gives no descriptor "{missing[0]}": choose of '
                              f'{", ".join(found)}')
        found = {name: found[name] for name in descriptors or found}
        found['seen'] = torch.ones_like(next(iter(found.values()))[:, :1])
        for name, rows in found.items():
            if name not in table:
                table[name] = rows.new_zeros(num, rows.shape[1])
            table[name][info.index.to(rows.device)] = rows
    # Each process has filled its own rows and left the others zero.
    for rows in table.values():
        all_reduce(rows)
    # Loaders repeat images so that all processes have as many: an image may come twice.
    seen = table.pop('seen')
    if bool((seen == 0).any()):
        raise UsageError(f'{int((seen == 0).sum())} images were not described: give a loader '
                         'that leaves none out')
    return ImageSet(
        descriptors={name: rows / seen for name, rows in table.items()},
        identity=np.asarray(dataset.identities),
        camera=np.asarray(dataset.cameras),
        modality=np.asarray(dataset.modalities),
        sample_idx=np.arange(num),
        img_path=dataset.img_paths)


@TASK_UTILS.register_module()
class TrainingSetExtractor:
    """Compute descriptors of each training image, as at test time.

    The training dataset is read again through a pipeline without augmentation. Ranks
    share the images, and all of them end with all descriptors.

    Args:
        pipeline: transforms of an image; normally those of testing.
        batch_size: images at a time on each rank.
        num_workers: data-loading processes of each rank.
        descriptors: names of those that are kept, of all that the head gives.
        flip: average the descriptors of an image and of its mirror image.
        normalize: scale the average to unit length. BMIL's released code does not, so
            that a row is a little shorter than 1.
    """

    def __init__(self,
                 pipeline: Sequence[dict],
                 batch_size: int = 128,
                 num_workers: int = 4,
                 descriptors: Sequence[str] = ('base', ),
                 flip: bool = True,
                 normalize: bool = False) -> None:
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.descriptors = tuple(descriptors)
        self.flip = flip
        self.normalize = normalize
        self._loader: DataLoader | None = None

    def __call__(self, runner: Runner) -> ImageSet:
        """Extract.

        Args:
            runner: its model is put into evaluation mode; the training loop puts it
                back when the epoch begins.

        Returns:
            All images of the training dataset in its order, with descriptors of shape
            ``(N, D)`` float32 on the model's device. Nobody's identity is in it, nor a path
            that could tell: what is made of it is made without labels.

        Raises:
            ConfigError: if the model gives no descriptor of a name.
            UsageError: if an image has not been seen by any rank.
        """
        if self._loader is None:
            self._loader = self._build_loader(runner)
        images = describe(
            runner.model, self._loader, descriptors=self.descriptors, flip=self.flip,
            normalize=self.normalize)
        return replace(images, identity=np.full(len(images), -1), img_path=())

    def _build_loader(self, runner: Runner) -> DataLoader:
        """Make a loader of the training dataset with another pipeline."""
        # The list of images comes from the training dataset; folders are not read again.
        dataset = copy.copy(runner.train_dataloader.dataset)
        dataset.pipeline = Compose([TRANSFORMS.build(t) for t in self.pipeline])
        return runner.build_dataloader(
            dict(
                dataset=dataset,
                batch_size=self.batch_size,
                num_workers=self.num_workers,
                sampler=dict(type='DefaultSampler', shuffle=False)),
            seed=runner.seed)
