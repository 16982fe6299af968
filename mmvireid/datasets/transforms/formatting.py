"""The end of every pipeline."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch.utils.data import get_worker_info

from mmvireid.registry import TRANSFORMS
from mmvireid.structures import ReIDDataSample
from mmvireid.utils.errors import EnvironmentMismatchError


@TRANSFORMS.register_module()
class PackReIDInputs(BaseTransform):
    """Turn an image or its views into a tensor, and its annotations into a sample.

    Required keys: ``img``, an array of shape ``(H, W, 3)`` or a list of them.
    Those of ``meta_keys`` that are present become metainfo of the sample.

    Args:
        meta_keys: annotations to keep.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = ('img_path', 'sample_idx', 'identity', 'label', 'camera',
                                    'modality', 'branch')
    ) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack one image.

        Args:
            results: what the pipeline made.

        Returns:
            ``inputs``, a uint8 or float32 tensor of shape ``(views, 3, H, W)``,
            and ``data_samples``, a :class:`mmvireid.structures.ReIDDataSample`.

        Raises:
            EnvironmentMismatchError: if a data-loading process finds no room for the image
                in the memory that it shares with the training.
        """
        img = results['img']
        views = np.stack(img if isinstance(img, (list, tuple)) else [img])
        inputs = torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2)))
        if get_worker_info() is not None:
            _move_to_shared_memory(inputs)
        metainfo = {key: results[key] for key in self.meta_keys if key in results}
        return {'inputs': inputs, 'data_samples': ReIDDataSample(metainfo=metainfo)}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def _move_to_shared_memory(inputs: torch.Tensor) -> None:
    """Do here what PyTorch would do on the way to the training, where it fails without an end.

    It moves a tensor when a thread of the data-loading process sends it. If there is no room,
    64 MB in a container by default, that thread prints a stack, and the training waits for
    ever for an image that does not come.
    """
    try:
        inputs.share_memory_()
    except RuntimeError as error:
        raise EnvironmentMismatchError(
            f'data-loading processes find no room in shared memory ({error}): give the machine '
            'more of it (docker run --shm-size=8g), or set num_workers to fewer, or to 0, which '
            'needs none') from error
