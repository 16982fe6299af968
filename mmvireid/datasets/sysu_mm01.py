"""Reader of SYSU-MM01's raw folders."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmvireid.evaluation.functional import protocols
from mmvireid.registry import DATASETS
from mmvireid.structures import Modality
from mmvireid.utils.errors import DatasetError

from .base import CrossModalityDataset, ImageRecord
from .folders import list_images, read_identities, require_root

_SPLIT_FILES = {
    'train': ('train_id.txt', ),
    'val': ('val_id.txt', ),
    'trainval': ('train_id.txt', 'val_id.txt'),
    'test': ('test_id.txt', ),
}


@DATASETS.register_module()
class SYSUMM01(CrossModalityDataset):
    """SYSU-MM01: 491 identities, four visible and two infrared cameras.

    Wu et al., *RGB-Infrared Cross-Modality Person Re-Identification*, ICCV 2017.
    The raw folders are read as they come, without a conversion::

        data_root
        ├── cam1            visible, indoor, room 1
        │   ├── 0001
        │   │   ├── 0001.jpg
        │   │   └── ...
        │   └── ...
        ├── cam2            visible, indoor, room 2
        ├── cam3            infrared, indoor, room 2 in the dark
        ├── cam4            visible, outdoor
        ├── cam5            visible, outdoor
        ├── cam6            infrared, outdoor
        └── exp
            ├── train_id.txt      296 identities, one comma-separated line
            ├── val_id.txt         99 identities
            ├── test_id.txt        96 identities
            └── rand_perm_cam.mat  official galleries (only for source='official')

    The practice of the field is to train on train and val together:
    ``split='trainval'``, 395 identities, 22,258 visible and 11,909 infrared
    images. ``split='test'`` holds every image of the 96 test identities (6,775
    visible, 3,803 infrared), embedded once; the metric takes the galleries of
    all trials out of them (see :func:`sysu_gallery`).

    Files that are not images are ignored; a log line counts them, because the
    published random galleries depend on the folders' content
    (``tools/misc/check_dataset.py`` names them).

    Args:
        data_root: folder that holds ``cam1`` .. ``cam6`` and ``exp``.
        split: 'train', 'val', 'trainval' or 'test'.
        **kwargs: further arguments of :class:`CrossModalityDataset`.

    Raises:
        DatasetError: if a folder or an id file is missing, or an identity of the
            split has no images or belongs to another split too.

    Examples:
        >>> from mmvireid.datasets import SYSUMM01
        >>> dataset = SYSUMM01('data/SYSU-MM01', split='trainval')  # doctest: +SKIP
        >>> dataset.num_ids  # doctest: +SKIP
        395
    """

    METAINFO = {'dataset_name': 'sysu'}
    SPLITS = ('train', 'val', 'trainval', 'test')

    def __init__(self, data_root: str, *, split: str = 'train', **kwargs: Any) -> None:
        super().__init__(data_root, split=split, **kwargs)

    def load_records(self) -> list[ImageRecord]:
        """Find the images of all six cameras for the identities of the split."""
        files = [os.path.join(self.data_root, 'exp', f) for f in _SPLIT_FILES[self.split]]
        identities = sorted({i for f in files for i in read_identities(f)})
        self._check_apart(identities, files)
        cameras = protocols.SYSU_VISIBLE_CAMERAS + protocols.SYSU_INFRARED_CAMERAS
        records = scan_cameras(self.data_root, cameras, identities)
        absent = sorted(set(identities) - {r.identity for r in records})
        if absent:
            raise DatasetError(
                f'identity {absent[0]} of "{files[-1]}" has no image in any camera folder of '
                f'"{self.data_root}" ({len(absent)} such identities): complete the folders, '
                'tools/misc/check_dataset.py names what is missing')
        return records

    def _check_apart(self, identities: Sequence[int], files: Sequence[str]) -> None:
        """Stop if people of this split are in another one, as far as it is there."""
        for name in (*_SPLIT_FILES['trainval'], *_SPLIT_FILES['test']):
            other = os.path.join(self.data_root, 'exp', name)
            if other in files or not os.path.isfile(other):
                continue
            shared = sorted(set(identities) & set(read_identities(other)))
            if shared:
                raise DatasetError(
                    f'identity {shared[0]} is in the split "{self.split}" and in "{other}" '
                    f'({len(shared)} such identities): people that a network is tested with must '
                    'not have trained it, copy the files of exp again from the original dataset')


def scan_cameras(root: str, cameras: Sequence[int],
                 identities: Sequence[int]) -> list[ImageRecord]:
    """List the images of some cameras and identities in SYSU-MM01's layout.

    Args:
        root: folder that holds ``cam1`` .. ``cam6``.
        cameras: camera numbers.
        identities: identity numbers.

    Returns:
        Records ordered by camera, identity and file name.

    Raises:
        DatasetError: if a camera folder is missing.
    """
    records: list[ImageRecord] = []
    strange: list[str] = []
    for camera in sorted(cameras):
        camera_folder = os.path.join(root, f'cam{camera}')
        if not os.path.isdir(camera_folder):
            raise DatasetError(
                f'the camera folder "{camera_folder}" is missing: data_root must hold cam1 to '
                'cam6 of SYSU-MM01')
        infrared = camera in protocols.SYSU_INFRARED_CAMERAS
        modality = int(Modality.INFRARED if infrared else Modality.VISIBLE)
        for identity in identities:
            folder = os.path.join(camera_folder, f'{identity:04d}')
            if not os.path.isdir(folder):
                continue  # not every person passes every camera
            images, others = list_images(folder)
            strange += [os.path.join(folder, name) for name in others]
            records += [
                ImageRecord(os.path.join(folder, name), identity, camera, modality)
                for name in images
            ]
    if strange:
        print_log(
            f'ignored {len(strange)} entries that are not images, first "{strange[0]}"; '
            'tools/misc/check_dataset.py names them all', 'current')
    return records


def sysu_gallery(root: str,
                 *,
                 mode: str = 'all',
                 shot: int = 1,
                 trial: int,
                 source: str = 'random_seed') -> list[str]:
    """Name the gallery images of one trial of SYSU-MM01's protocol.

    Args:
        root: folder of the dataset.
        mode: 'all' (cameras 1, 2, 4, 5) or 'indoor' (cameras 1, 2).
        shot: images per identity and camera, 1 or 10.
        trial: 0 .. 9.
        source: 'random_seed' (the rule of most repositories) or 'official'
            (``exp/rand_perm_cam.mat``); the two give different galleries.

    Returns:
        Paths, by identity, then camera, then position in the draw.

    Raises:
        DatasetError: if the folder is incomplete.
        ValueError: if an argument has no meaning, or the folder does not fit the
            official permutations.
    """
    root = os.fspath(root)
    require_root(root, 'SYSU-MM01')
    identities = read_identities(os.path.join(root, 'exp', 'test_id.txt'))
    records = scan_cameras(root, protocols.sysu_gallery_cameras(mode), identities)
    permutations = None
    if source == 'official':
        permutations = protocols.load_sysu_permutations(
            os.path.join(root, 'exp', 'rand_perm_cam.mat'))
    rows = protocols.sample_sysu_gallery(
        np.array([r.identity for r in records], dtype=np.int64),
        np.array([r.camera for r in records], dtype=np.int64),
        [r.path for r in records],
        mode=mode,
        shot=shot,
        trial=trial,
        source=source,
        permutations=permutations)
    return [records[row].path for row in rows]
