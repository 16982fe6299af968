"""What all visible-infrared datasets share."""

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmvireid.registry import TRANSFORMS
from mmvireid.structures import Modality
from mmvireid.utils.errors import ConfigError, DatasetError

from .branch_index import BranchIndex
from .folders import require_root
from .label_noise import LabelNoise

#: Annotations that are offered as one array over the whole dataset.
_ARRAYS = ('label', 'identity', 'camera', 'modality')


class ImageRecord(NamedTuple):
    """One image as a reader finds it.

    Attributes:
        path: path of the image file, ``data_root`` included.
        identity: identity number, -1 where unknown.
        camera: camera number, 0 where unknown.
        modality: a :class:`mmvireid.structures.Modality`.
    """

    path: str
    identity: int
    camera: int
    modality: int


class CrossModalityDataset(BaseDataset):
    """Images of persons, each visible or infrared.

    A reader implements :meth:`load_records`; this class sorts the images
    (visible first, then infrared, each by path), numbers the training
    identities and offers the annotations as arrays, so that samplers, metrics
    and clustering never open the data list image by image.

    Each element of the data list holds ``img_path``, ``identity``, ``label``
    (0 .. C-1 over the sorted identities of a training split, otherwise -1),
    ``camera`` (0 where unknown) and ``modality`` (0 visible, 1 infrared).

    With ``label_noise`` a share of the training labels is wrong, for methods that shall learn
    in spite of that: everything that trains sees the wrong ones, :attr:`true_labels` is there
    for the log. What was made wrong is recorded in ``metainfo['label_noise']``, which every
    checkpoint holds: rate, seed, number and a hash of the labels.

    Args:
        data_root: folder of the dataset.
        split: one of :attr:`SPLITS`.
        pipeline: transforms, as config dicts or callables.
        metainfo: additional meta information.
        require_both_modalities: whether a split that lacks visible or infrared
            images is an error.
        label_noise: arguments of :class:`mmvireid.datasets.LabelNoise`, for example
            ``dict(rate=0.2, seed=0)``; for a training split.
        **kwargs: further arguments of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        DatasetError: if the folder is not as the dataset's layout says, or its identities have
            too few images for the noise.
        ConfigError: if the rate of the noise is not between 0 and 1, or the split is for tests.
    """

    #: Splits that the dataset offers.
    SPLITS: tuple[str, ...] = ('train', 'test')
    #: Splits whose identities get training labels.
    TRAIN_SPLITS: tuple[str, ...] = ('train', 'trainval')

    def __init__(self,
                 data_root: str,
                 *,
                 split: str = 'train',
                 pipeline: Sequence[dict | Callable] = (),
                 metainfo: dict | None = None,
                 require_both_modalities: bool = True,
                 label_noise: dict | None = None,
                 **kwargs: Any) -> None:
        if split not in self.SPLITS:
            raise DatasetError(
                f'{type(self).__name__} has no split "{split}": choose one of '
                f'{", ".join(self.SPLITS)}')
        self.split = split
        self.require_both_modalities = require_both_modalities
        self.label_noise = None if label_noise is None else LabelNoise.from_config(label_noise)
        if self.label_noise is not None and split not in self.TRAIN_SPLITS:
            raise ConfigError(
                f'label_noise is for training, but split "{split}" is for tests: take it out of '
                'that dataset.')
        self._arrays: dict[str, Any] | None = None
        kwargs.setdefault('test_mode', split not in self.TRAIN_SPLITS)
        transforms = [t if callable(t) else TRANSFORMS.build(t) for t in pipeline]
        super().__init__(
            data_root=os.fspath(data_root),
            pipeline=transforms,
            metainfo={'split': split, **(metainfo or {})},
            **kwargs)

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        """Merge meta information; values are never taken for file names."""
        return {**cls.METAINFO, **(metainfo or {})}

    @abstractmethod
    def load_records(self) -> list[ImageRecord]:
        """Find the images of :attr:`split`, in any order."""

    def load_data_list(self) -> list[dict]:
        """Sort and label the images that :meth:`load_records` finds.

        Raises:
            DatasetError: if there are no images, an image is listed twice, or a
                modality is missing.
        """
        name = type(self).__name__
        if self.data_root:
            require_root(self.data_root, name)
        records = self.load_records()
        where = f'split "{self.split}" of {name} in "{self.data_root}"'
        if not records:
            raise DatasetError(f'{where} has no images: check that the dataset is complete')
        path, times = Counter(record.path for record in records).most_common(1)[0]
        if times > 1:
            raise DatasetError(
                f'{where} lists "{path}" {times} times: remove the repetition from the list')
        present = {record.modality for record in records}
        missing = [m.name.lower() for m in Modality if m not in present]
        if missing and self.require_both_modalities:
            raise DatasetError(
                f'{where} has no {missing[0]} images: add them, check the modality column or '
                'folder names, or pass require_both_modalities=False')

        training = self.split in self.TRAIN_SPLITS
        known = sorted({r.identity for r in records if r.identity >= 0}) if training else []
        label_of = {identity: label for label, identity in enumerate(known)}
        records = sorted(records, key=lambda r: (r.modality, r.path))
        data_list = [
            {
                'img_path': r.path,
                'identity': int(r.identity),
                'label': label_of.get(r.identity, -1),
                'camera': int(r.camera),
                'modality': int(r.modality),
            } for r in records
        ]
        if self.label_noise is not None:
            self._make_labels_wrong(data_list)
        return data_list

    def _make_labels_wrong(self, data_list: list[dict]) -> None:
        """Replace a share of the labels, and record it."""
        true = np.array([row['label'] for row in data_list])
        noisy = self.label_noise(true, np.array([row['modality'] for row in data_list]))
        for row, label in zip(data_list, noisy.tolist()):
            row['true_label'], row['label'] = row['label'], label
        record = self._metainfo['label_noise'] = self.label_noise.record(true, noisy)
        print_log(
            f'{record["wrong"]} of {len(true)} training labels are made wrong (rate '
            f'{record["rate"]:g}, seed {record["seed"]}, SHA-256 of the labels '
            f'{record["sha256"]}).', 'current')

    def get_data_info(self, idx: int) -> dict:
        """Return the annotations of an image, as a pipeline gets them.

        Args:
            idx: place of the image; a :class:`BranchIndex` adds its ``branch``.

        Returns:
            A copy of the image's entry in the data list, with ``sample_idx``.
        """
        info = super().get_data_info(int(idx))
        if isinstance(idx, BranchIndex):
            info['branch'] = idx.branch
        return info

    def _annotations(self) -> dict[str, Any]:
        if self._arrays is None:
            rows = [self.get_data_info(i) for i in range(len(self))]
            self._arrays = {
                key: np.array([row[key] for row in rows], dtype=np.int64)
                for key in _ARRAYS
            }
            self._arrays['true_label'] = np.array(
                [row.get('true_label', row['label']) for row in rows], dtype=np.int64)
            self._arrays['img_path'] = [row['img_path'] for row in rows]
        return self._arrays

    @property
    def labels(self) -> np.ndarray:
        """Training labels, shape ``(N,)``, -1 where unknown."""
        return self._annotations()['label']

    @property
    def true_labels(self) -> np.ndarray:
        """Labels as they were before any noise, shape ``(N,)``: for the log, not for training."""
        return self._annotations()['true_label']

    @property
    def identities(self) -> np.ndarray:
        """Identity numbers as the dataset writes them, shape ``(N,)``."""
        return self._annotations()['identity']

    @property
    def cameras(self) -> np.ndarray:
        """Camera numbers, shape ``(N,)``, 0 where unknown."""
        return self._annotations()['camera']

    @property
    def modalities(self) -> np.ndarray:
        """Modality of each image, shape ``(N,)``, 0 visible, 1 infrared."""
        return self._annotations()['modality']

    @property
    def img_paths(self) -> list[str]:
        """Paths of the N images."""
        return self._annotations()['img_path']

    @property
    def num_ids(self) -> int:
        """Number of known identities."""
        identities = self.identities
        return len(np.unique(identities[identities >= 0]))

    def get_subset_(self, indices: Sequence[int] | int) -> None:
        """Keep only some images, as MMEngine does, arrays included."""
        super().get_subset_(indices)
        self._arrays = None

    def get_subset(self, indices: Sequence[int] | int) -> 'CrossModalityDataset':
        """Copy some images into a dataset of their own, as MMEngine does."""
        subset = super().get_subset(indices)
        subset._arrays = None
        return subset
