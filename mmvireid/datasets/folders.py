"""Reading folders and index files, with errors a person can act on."""

import os
import re
from pathlib import Path
from typing import List, Sequence, Tuple, Union

from mmvireid.utils.errors import DatasetError

PathLike = Union[str, os.PathLike]

#: What counts as an image; anything else in an image folder is ignored.
IMAGE_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'})


def require_root(root: PathLike, what: str) -> None:
    """Stop with a sentence if a dataset folder is missing.

    Args:
        root: the folder named by ``data_root``.
        what: the dataset's name for the message.

    Raises:
        DatasetError: if ``root`` is not a folder.
    """
    if not os.path.isdir(root):
        raise DatasetError(
            f'the {what} folder "{root}" does not exist: set data_root to where the dataset '
            'lies, or write a stand-in with tools/dataset_converters/make_synthetic.py')


def read_text(path: PathLike) -> str:
    """Read an index file.

    Args:
        path: a text file.

    Returns:
        The file's text.

    Raises:
        DatasetError: if the file is missing, may not be read or is not text.
    """
    try:
        return Path(path).read_text(encoding='utf-8-sig')
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise DatasetError(
            f'the index file "{path}" is missing: copy it from the original dataset, or check '
            'that data_root is the folder that holds it') from None
    except PermissionError:
        raise _unreadable('index file', path) from None
    except UnicodeDecodeError:
        raise DatasetError(
            f'the index file "{path}" is not a text file: copy it again from the original '
            'dataset') from None


def list_images(folder: PathLike) -> Tuple[List[str], List[str]]:
    """List a folder as the protocols do: by name, in sorted order.

    Args:
        folder: an existing folder of images.

    Returns:
        Names of the images and names of everything else, both sorted.

    Raises:
        DatasetError: if the folder may not be read.
    """
    images, others = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                suffix = os.path.splitext(entry.name)[1].lower()
                is_image = suffix in IMAGE_SUFFIXES and entry.is_file()
                (images if is_image else others).append(entry.name)
    except PermissionError:
        raise _unreadable('folder', folder) from None
    return sorted(images), sorted(others)


def _unreadable(kind: str, path: PathLike) -> DatasetError:
    return DatasetError(f'the {kind} "{path}" may not be read: correct its access rights')


def read_identities(path: PathLike) -> List[int]:
    """Read identity numbers separated by commas or white space.

    Args:
        path: for example ``exp/train_id.txt``, one comma-separated line.

    Returns:
        The identities, sorted, each once.

    Raises:
        DatasetError: if the file is missing, empty or holds anything but numbers.
    """
    fields = [field for field in re.split(r'[,\s]+', read_text(path)) if field]
    wrong = [field for field in fields if not field.isdigit()]
    if wrong or not fields:
        found = f'"{wrong[0]}"' if wrong else 'nothing'
        raise DatasetError(
            f'"{path}" should hold identity numbers separated by commas but holds {found}: '
            'copy it again from the original dataset')
    return sorted({int(field) for field in fields})


def inside_root(root: PathLike, written: str, index_file: PathLike, line: int) -> str:
    """Join a path of an index file to its root, and keep it there.

    Args:
        root: the dataset folder.
        written: path as written in the index file, relative to ``root`` or an
            absolute path below it.
        index_file: the index file, for the message.
        line: 1-based line number, for the message.

    Returns:
        ``root`` joined with ``written``.

    Raises:
        DatasetError: if the path lies outside of ``root``.
    """
    written = written.replace('\\', '/')
    joined = os.path.join(os.fspath(root), written)  # an absolute path stays itself
    top = os.path.abspath(root)
    if os.path.commonpath([top, os.path.abspath(joined)]) != top:
        raise DatasetError(
            f'line {line} of "{index_file}" points outside the dataset folder "{root}": '
            f'"{written}" must be a path below that folder')
    return joined


def require_files(paths: Sequence[str], index_file: PathLike) -> None:
    """Stop before training, not in the middle of it, if listed images are missing.

    Args:
        paths: joined paths of an index file.
        index_file: the index file, for the message.

    Raises:
        DatasetError: if any path is not a file.
    """
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise DatasetError(
            f'"{index_file}" lists {len(missing)} images that do not exist, first '
            f'"{missing[0]}": copy them from the original dataset or correct the list')


def read_path_label_list(root: PathLike, index_file: PathLike) -> List[Tuple[str, int]]:
    """Read an index file of lines ``path label``, as RegDB and LLCM write them.

    Args:
        root: folder below which the paths lie.
        index_file: the text file.

    Returns:
        Pairs of joined path and label, in the order of the file.

    Raises:
        DatasetError: if the file is missing or empty, a line is malformed, or an
            image does not exist.
    """
    pairs = []
    for number, line in enumerate(read_text(index_file).splitlines(), start=1):
        if not line.strip():
            continue
        fields = line.rsplit(maxsplit=1)
        if len(fields) != 2 or not fields[1].isdigit():
            raise DatasetError(
                f'line {number} of "{index_file}" should read "<path> <label>" but reads '
                f'"{line.strip()}": copy the file again or correct the line')
        path = inside_root(root, fields[0].strip(), index_file, number)
        pairs.append((path, int(fields[1])))
    if not pairs:
        raise DatasetError(
            f'the index file "{index_file}" lists no image: copy it again from the original '
            'dataset')
    require_files([path for path, _ in pairs], index_file)
    return pairs
