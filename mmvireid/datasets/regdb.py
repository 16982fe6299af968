"""Reader of RegDB's raw folders."""

import os
from typing import Any

from mmvireid.registry import DATASETS
from mmvireid.structures import Modality
from mmvireid.utils.errors import DatasetError

from .base import CrossModalityDataset, ImageRecord
from .folders import read_path_label_list

#: Name of the index files' modality, modality and camera (RegDB has one of each).
_SENSORS = (('visible', Modality.VISIBLE, 1), ('thermal', Modality.INFRARED, 2))


@DATASETS.register_module()
class RegDB(CrossModalityDataset):
    """RegDB: 412 identities, one visible and one thermal camera.

    Nguyen et al., *Person Recognition System Based on a Combination of Body
    Images from Visible Light and Thermal Cameras*, Sensors 2017. The raw folders
    are read as they come::

        data_root
        ├── Visible
        │   ├── 1
        │   │   ├── male_front_v_00007_1.bmp
        │   │   └── ...                      10 images
        │   └── ...                          412 identities
        ├── Thermal
        │   └── ...                          the same identities
        └── idx
            ├── train_visible_1.txt          2,060 lines "Visible/1/....bmp 0"
            ├── train_thermal_1.txt
            ├── test_visible_1.txt
            ├── test_thermal_1.txt
            └── ...                          ten trials

    A trial halves the identities, 206 to train and 206 to test. Each trial has a
    model of its own: weights of one trial have seen test identities of the others.
    ``identity`` is the number in the index file, which starts at 0 in both halves.

    Args:
        data_root: folder that holds ``Visible``, ``Thermal`` and ``idx``.
        trial: 1 .. 10.
        split: 'train' or 'test'.
        **kwargs: further arguments of :class:`CrossModalityDataset`.

    Raises:
        DatasetError: if an index file is missing or malformed, or lists an image
            that does not exist.
    """

    METAINFO = {'dataset_name': 'regdb'}

    def __init__(self,
                 data_root: str,
                 *,
                 trial: int = 1,
                 split: str = 'train',
                 **kwargs: Any) -> None:
        if not 1 <= trial <= 10:
            raise DatasetError(f'RegDB has trials 1 to 10, not {trial}')
        self.trial = trial
        metainfo = {'trial': trial, **(kwargs.pop('metainfo', None) or {})}
        super().__init__(data_root, split=split, metainfo=metainfo, **kwargs)

    def load_records(self) -> list[ImageRecord]:
        """Read both index files of the trial."""
        records = []
        for name, modality, camera in _SENSORS:
            index = os.path.join(self.data_root, 'idx', f'{self.split}_{name}_{self.trial}.txt')
            records += [
                ImageRecord(path, label, camera, int(modality))
                for path, label in read_path_label_list(self.data_root, index)
            ]
        return records
