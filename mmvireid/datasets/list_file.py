"""Your own footage, described by one list."""

import csv
import os
from collections.abc import Sequence
from typing import Any

from mmvireid.registry import DATASETS
from mmvireid.structures import Modality
from mmvireid.utils.errors import DatasetError

from .base import CrossModalityDataset, ImageRecord
from .folders import inside_root, read_text, real_paths, require_files, whole_number

#: Accepted spellings of the modality column, in lower case.
MODALITY_NAMES = {
    '0': Modality.VISIBLE,
    'visible': Modality.VISIBLE,
    'rgb': Modality.VISIBLE,
    '1': Modality.INFRARED,
    'infrared': Modality.INFRARED,
    'ir': Modality.INFRARED,
}
#: What spreadsheets and keyboards of other countries write in place of a comma.
_OTHER_SEPARATORS = {';': 'semicolons', '\t': 'tabs', '|': 'bars',
                     '\uff0c': 'commas of double width', '\u3001': 'Chinese commas'}
_COLUMNS = ('path', 'identity', 'camera', 'modality')
_WITHOUT_CAMERA = ('path', 'identity', 'modality')


@DATASETS.register_module()
class ListFileDataset(CrossModalityDataset):
    """Images named by a list with the columns path, identity, camera, modality.

    The columns are separated by commas (csv) or by white space; the camera may
    be left out. A first line that names the columns may put them in any order,
    and lines that begin with ``#`` are comments::

        data_root
        ├── train.csv
        │       path,identity,camera,modality
        │       day/gate_0001.jpg,17,1,visible
        │       night/gate_0001.jpg,17,2,infrared
        ├── day
        │   └── gate_0001.jpg
        └── night
            └── gate_0001.jpg

    The modality is visible, rgb or 0, or infrared, ir or 1. Identity -1 means
    unknown: such images get label -1 and serve unsupervised training and search.
    Paths with spaces need the comma-separated form.

    Args:
        ann_file: the list; a relative name counts from ``data_root`` if given.
        data_root: folder below which all paths lie; None means the list's folder.
        split: 'train' numbers the identities as labels, 'test' does not.
        **kwargs: further arguments of :class:`CrossModalityDataset`.

    Raises:
        DatasetError: if the list is missing or malformed, or names an image that
            does not exist or lies outside ``data_root``.

    Examples:
        >>> import csv
        >>> from pathlib import Path
        >>> from mmvireid.datasets import ListFileDataset
        >>> rows = [('day.jpg', 17, 1, 'visible'), ('night.jpg', 17, 2, 'infrared')]
        >>> for path, *_ in rows:
        ...     Path(path).touch()
        >>> with open('train.csv', 'w') as file:
        ...     csv.writer(file).writerows([('path', 'identity', 'camera', 'modality'), *rows])
        >>> dataset = ListFileDataset('train.csv')
        >>> dataset.identities.tolist(), dataset.labels.tolist(), dataset.modalities.tolist()
        ([17, 17], [0, 0], [0, 1])
    """

    METAINFO = {'dataset_name': 'list_file'}

    def __init__(self,
                 ann_file: str,
                 data_root: str | None = None,
                 *,
                 split: str = 'train',
                 **kwargs: Any) -> None:
        if data_root is None:
            ann_file = os.path.abspath(ann_file)
            data_root = os.path.dirname(ann_file)
        super().__init__(data_root, split=split, ann_file=os.fspath(ann_file), **kwargs)

    def load_records(self) -> list[ImageRecord]:
        """Read the list line by line."""
        text = read_text(self.ann_file, official=False)
        lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
        lines = [(n, line) for n, line in lines if line and not line.startswith('#')]
        if not lines:
            raise DatasetError(
                f'the list "{self.ann_file}" names no image: write one line '
                '"path,identity,camera,modality" per image')
        separated = ',' in lines[0][1]
        split = (lambda line: next(csv.reader([line]))) if separated else str.split
        rows = [(n, [field.strip() for field in split(line)]) for n, line in lines]
        header = [field.lower() for field in rows[0][1]]
        if 'path' in header and 'identity' in header:
            columns, rows = header, rows[1:]
            if sorted(columns) not in (sorted(_COLUMNS), sorted(_WITHOUT_CAMERA)):
                raise DatasetError(
                    f'the first line of "{self.ann_file}" names the columns {", ".join(columns)}: '
                    f'write {", ".join(_COLUMNS)} (camera may be left out)')
        else:
            columns = _COLUMNS if len(header) > len(_WITHOUT_CAMERA) else _WITHOUT_CAMERA
        records = [self._record(number, fields, columns) for number, fields in rows]
        paths = [record.path for record in records]
        require_files(paths, self.ann_file, official=False)
        seen: dict[str, int] = {}
        for (number, _), real, path in zip(rows, real_paths(paths), paths):
            if seen.setdefault(real, number) != number:
                raise DatasetError(
                    f'lines {seen[real]} and {number} of "{self.ann_file}" name the same file '
                    f'"{path}": remove one of them')
        return records

    def _record(self, number: int, fields: Sequence[str], columns: Sequence[str]) -> ImageRecord:
        where = f'line {number} of "{self.ann_file}"'
        if len(fields) != len(columns):
            other = next((name for sign, name in _OTHER_SEPARATORS.items()
                          if any(sign in field for field in fields)), None)
            if other:
                raise DatasetError(f'{where} separates its columns by {other}: use commas')
            raise DatasetError(
                f'{where} has {len(fields)} fields instead of {len(columns)} '
                f'({", ".join(columns)}): correct the line; paths with spaces or commas need '
                'the comma-separated form with quotes')
        values: dict[str, str] = dict(zip(columns, fields))
        modality = MODALITY_NAMES.get(values['modality'].lower())
        if modality is None:
            raise DatasetError(
                f'{where} has the modality "{values["modality"]}": write visible or infrared')
        return ImageRecord(
            inside_root(self.data_root, values['path'], self.ann_file, number),
            self._number(values['identity'], 'identity', -1, where),
            self._number(values.get('camera') or '0', 'camera', 0, where), int(modality))

    @staticmethod
    def _number(text: str, column: str, least: int, where: str) -> int:
        value = whole_number(text)
        if value is None or value < least:
            raise DatasetError(
                f'{where} has the {column} "{text}": write a whole number from {least} on, of at '
                'most 18 digits')
        return value
