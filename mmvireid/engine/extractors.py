"""Descriptors of the whole training set, on every process."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.dist import all_reduce
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmvireid.registry import TASK_UTILS, TRANSFORMS
from mmvireid.structures import BatchInfo, ImageSet
from mmvireid.utils.errors import UsageError

__all__ = ['TrainingSetExtractor']


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

    @torch.no_grad()
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
            UsageError: if an image has not been seen by any rank.
        """
        if self._loader is None:
            self._loader = self._build_loader(runner)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.eval()
        dataset = self._loader.dataset
        num = len(dataset)
        table: dict[str, torch.Tensor] = {}
        for batch in self._loader:
            data = model.data_preprocessor(batch, False)
            info = BatchInfo.from_samples(data['data_samples'])
            found = model.describe(
                data['inputs'], info.modality, flip=self.flip, normalize=self.normalize)
            found = {name: found[name] for name in self.descriptors}
            found['seen'] = torch.ones_like(found[self.descriptors[0]][:, :1])
            for name, rows in found.items():
                if name not in table:
                    table[name] = rows.new_zeros(num, rows.shape[1])
                table[name][info.index.to(rows.device)] = rows
        # Each rank has filled its own rows and left the others zero.
        for rows in table.values():
            all_reduce(rows)
        # Loaders repeat images so that all ranks have as many: an image may come twice.
        seen = table.pop('seen')
        if bool((seen == 0).any()):
            raise UsageError(f'{int((seen == 0).sum())} training images were not extracted')
        return ImageSet(
            descriptors={name: rows / seen for name, rows in table.items()},
            identity=np.full(num, -1),
            camera=np.asarray(dataset.cameras),
            modality=np.asarray(dataset.modalities),
            sample_idx=np.arange(num))

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
