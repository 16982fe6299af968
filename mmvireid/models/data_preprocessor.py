"""From a list of loaded images to one batch on the device."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmvireid.registry import MODELS
from mmvireid.structures import Modality
from mmvireid.utils.errors import ConfigError, InputError


@MODELS.register_module()
class ReIDDataPreprocessor(BaseDataPreprocessor):
    """Stack images in the order the losses expect, and scale their values.

    In training the batch becomes ``[visible view 1 | visible view 2 | infrared
    view 1 | ...]``: modalities in the order visible, infrared; in each, all
    images in their first view, then all in their second. The data samples are
    repeated alike, and each says which ``view`` its row is. Within a view the order of
    the sampler stays. In testing nothing is re-ordered.

    Args:
        mean: subtracted from each channel of uint8 images, on the scale 0 .. 255.
            Images that arrive as float were normalised by the pipeline (recipes that
            erase or exchange channels afterwards do so) and stay as they are.
        std: divides each channel of uint8 images, on the scale 0 .. 255.
        non_blocking: copy to the device without waiting.

    Raises:
        ConfigError: if only one of ``mean`` and ``std`` is given.

    Examples:
        >>> import torch
        >>> from mmvireid.models import ReIDDataPreprocessor
        >>> from mmvireid.structures import ReIDDataSample
        >>> loaded = dict(
        ...     inputs=[torch.zeros(1, 3, 8, 4), torch.zeros(2, 3, 8, 4)],  # one view, two views
        ...     data_samples=[ReIDDataSample(metainfo=dict(sample_idx=i, modality=m))
        ...                   for i, m in ((5, 1), (7, 0))])
        >>> batch = ReIDDataPreprocessor()(loaded, training=True)
        >>> batch['inputs'].shape
        torch.Size([3, 3, 8, 4])
        >>> [(sample.sample_idx, sample.view) for sample in batch['data_samples']]
        [(7, 0), (7, 1), (5, 0)]
    """

    def __init__(self,
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 non_blocking: bool = False) -> None:
        super().__init__(non_blocking=non_blocking)
        if (mean is None) != (std is None):
            raise ConfigError('give both mean and std, or neither')
        self.normalise = mean is not None
        if self.normalise:
            self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
            self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Turn what the data loader gives into arguments of the model.

        Args:
            data: ``inputs``, a list of B tensors of shape ``(views, 3, H, W)``, and
                ``data_samples``, a list of B :class:`ReIDDataSample`.
            training: order the rows as the losses expect.

        Returns:
            ``inputs`` of shape ``(N, 3, H, W)``, float, on the device, and the N
            ``data_samples`` of its rows.

        Raises:
            ValueError: if a test image comes in several views, or the images of
                one modality in different numbers of views.
        """
        images, samples = list(data['inputs']), list(data['data_samples'])
        rows = (self._order_by_modality if training else self._keep_order)(images, samples)
        batch = torch.stack(self.cast_data([images[i][view] for i, view in rows]))
        # Casting copies: each row has a sample of its own, and the loader's stay as they are.
        samples = self.cast_data([samples[i] for i, _ in rows])
        for sample, (_, view) in zip(samples, rows):
            sample.set_metainfo(dict(view=view))
        if self.normalise and batch.dtype == torch.uint8:
            batch = (batch.float() - self.mean) / self.std
        batch = batch.float()
        return {'inputs': batch, 'data_samples': samples}

    @staticmethod
    def _keep_order(images: list[Tensor], samples: list) -> list[tuple[int, int]]:
        """Return image and view of each row."""
        for image, sample in zip(images, samples):
            if len(image) != 1:
                raise InputError(
                    f'a test image has one view, but {sample.img_path} comes in {len(image)}: '
                    'take the view transform out of the test pipeline')
        return [(i, 0) for i in range(len(images))]

    @staticmethod
    def _order_by_modality(images: list[Tensor], samples: list) -> list[tuple[int, int]]:
        """Return image and view of each row."""
        rows = []
        for modality in Modality:
            own = [i for i, sample in enumerate(samples) if sample.modality == modality]
            num_views = {len(images[i]) for i in own}
            if len(num_views) > 1:
                raise InputError(
                    f'all {modality.name.lower()} images of a batch need the same number of '
                    f'views, got {sorted(num_views)}')
            rows += [(i, view) for view in range(max(num_views, default=0)) for i in own]
        return rows
