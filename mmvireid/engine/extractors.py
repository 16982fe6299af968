"""Features of the whole training set, on every process."""

import copy
from typing import Optional, Sequence

import torch
from mmengine.dataset import Compose
from mmengine.dist import all_reduce
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmvireid.registry import TASK_UTILS, TRANSFORMS

__all__ = ['TrainingSetExtractor']


@TASK_UTILS.register_module()
class TrainingSetExtractor:
    """Compute a descriptor of each training image, as at test time.

    The training dataset is read again through a pipeline without augmentation. Ranks
    share the images, and all of them end with all features.

    Args:
        pipeline: transforms of an image; normally those of testing.
        batch_size: images at a time on each rank.
        num_workers: data-loading processes of each rank.
        descriptor: which of the head's descriptors to take.
        flip: average the descriptors of an image and of its mirror image.
        normalize: scale the average to unit length. BMIL's released code does not, so
            that a feature is a little shorter than 1.
    """

    def __init__(self,
                 pipeline: Sequence[dict],
                 batch_size: int = 128,
                 num_workers: int = 4,
                 descriptor: str = 'base',
                 flip: bool = True,
                 normalize: bool = False) -> None:
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.descriptor = descriptor
        self.flip = flip
        self.normalize = normalize
        self._loader: Optional[torch.utils.data.DataLoader] = None

    @torch.no_grad()
    def __call__(self, runner: Runner) -> Tensor:
        """Extract.

        Args:
            runner: its model is put into evaluation mode; the training loop puts it
                back when the epoch begins.

        Returns:
            Shape ``(N, D)`` float32 on the model's device, row i for image i of the
            training dataset.

        Raises:
            RuntimeError: if an image has not been seen by any rank.
        """
        if self._loader is None:
            self._loader = self._build_loader(runner)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.eval()
        num = len(self._loader.dataset)
        features, seen = None, None
        for batch in self._loader:
            data = model.data_preprocessor(batch, False)
            rows = self._descriptors(model, data['inputs'], data['data_samples'])
            index = torch.tensor(
                [sample.sample_idx for sample in data['data_samples']], device=rows.device)
            if features is None:
                features = rows.new_zeros(num, rows.shape[1])
                seen = rows.new_zeros(num)
            features[index] = rows
            seen[index] = 1
        # Loaders repeat images so that all ranks have as many: an image may come twice.
        all_reduce(features)
        all_reduce(seen)
        if bool((seen == 0).any()):
            raise RuntimeError(f'{int((seen == 0).sum())} training images were not extracted')
        return features / seen[:, None]

    def _descriptors(self, model: torch.nn.Module, inputs: Tensor, samples: list) -> Tensor:
        """Return one row per image."""
        modality = torch.tensor([int(sample.modality) for sample in samples])
        rows = model.head.predict(model.extract_feat(inputs, modality))[self.descriptor]
        if self.flip:
            mirrored = model.head.predict(model.extract_feat(inputs.flip(-1), modality))
            rows = (rows + mirrored[self.descriptor]) / 2
        return torch.nn.functional.normalize(rows) if self.normalize else rows

    def _build_loader(self, runner: Runner) -> torch.utils.data.DataLoader:
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
