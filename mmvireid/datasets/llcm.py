"""Reader of LLCM's raw folders."""

import os
import re
from typing import Any

from mmengine.logging import print_log

from mmvireid.registry import DATASETS
from mmvireid.structures import Modality
from mmvireid.utils.errors import DatasetError

from .base import CrossModalityDataset, ImageRecord
from .folders import list_images, read_identities, read_path_label_list

_SENSORS = (('vis', Modality.VISIBLE), ('nir', Modality.INFRARED))
_CAMERA_IN_NAME = re.compile(r'_c([0-9]{2})')
_CAMERA_FOLDER = re.compile(r'cam([0-9]{1,9})')


@DATASETS.register_module()
class LLCM(CrossModalityDataset):
    """LLCM: 1,064 identities in low light, nine cameras of both modalities.

    Zhang and Wang, *Diverse Embedding Expansion Network and Low-Light
    Cross-Modality Benchmark*, CVPR 2023. The raw folders are read as they come::

        data_root
        ├── idx
        │   ├── train_vis.txt      16,946 lines "<path> <label>", 713 identities
        │   ├── train_nir.txt      13,975 lines
        │   └── test_id.txt        351 identities, one comma-separated line
        ├── test_vis
        │   ├── cam1
        │   │   ├── 0001
        │   │   │   └── ...
        │   │   └── ...
        │   └── ...                cam1 .. cam9
        ├── test_nir
        │   └── ...                cam1 .. cam9 without cam3, which has no infrared
        └── ...                    training images, where the lists say

    The camera of a training image is the number after ``_c`` in its file name, of
    a test image its folder below ``test_vis`` or ``test_nir``; the name of
    ``data_root`` plays no part. ``identity`` of a training image is its label in
    the list, of a test image its folder's number.

    Args:
        data_root: folder that holds ``idx``, ``test_vis`` and ``test_nir``.
        split: 'train' or 'test'.
        **kwargs: further arguments of :class:`CrossModalityDataset`.

    Raises:
        DatasetError: if an index file or folder is missing or malformed, or a test
            identity has no images.
    """

    METAINFO = {'dataset_name': 'llcm'}

    def __init__(self, data_root: str, *, split: str = 'train', **kwargs: Any) -> None:
        super().__init__(data_root, split=split, **kwargs)

    def load_records(self) -> list[ImageRecord]:
        """Read the training lists, or scan the test folders."""
        return self._train_records() if self.split == 'train' else self._test_records()

    def _train_records(self) -> list[ImageRecord]:
        records = []
        for name, modality in _SENSORS:
            index = os.path.join(self.data_root, 'idx', f'train_{name}.txt')
            for path, label in read_path_label_list(self.data_root, index):
                found = _CAMERA_IN_NAME.search(os.path.basename(path))
                camera = int(found.group(1)) if found else 0
                records.append(ImageRecord(path, label, camera, int(modality)))
        unknown = [record.path for record in records if record.camera == 0]
        if unknown:
            print_log(
                f'{len(unknown)} file names have no camera "_cNN", first "{unknown[0]}": their '
                'camera is taken as unknown', 'current')
        return records

    def _test_records(self) -> list[ImageRecord]:
        id_file = os.path.join(self.data_root, 'idx', 'test_id.txt')
        identities = read_identities(id_file)
        records = []
        for name, modality in _SENSORS:
            folder = os.path.join(self.data_root, f'test_{name}')
            if not os.path.isdir(folder):
                raise DatasetError(
                    f'the folder "{folder}" is missing: data_root must hold test_vis and '
                    'test_nir of LLCM')
            for camera_name in sorted(os.listdir(folder)):
                found = _CAMERA_FOLDER.fullmatch(camera_name)
                if not found:
                    continue
                for identity in identities:
                    person = os.path.join(folder, camera_name, f'{identity:04d}')
                    if os.path.isdir(person):
                        records += [
                            ImageRecord(
                                os.path.join(person, image), identity, int(found.group(1)),
                                int(modality)) for image in list_images(person)[0]
                        ]
        absent = sorted(set(identities) - {record.identity for record in records})
        if absent:
            raise DatasetError(
                f'identity {absent[0]} of "{id_file}" has no image ({len(absent)} such '
                'identities): complete test_vis and test_nir, '
                'tools/misc/check_dataset.py names what is missing')
        return records
