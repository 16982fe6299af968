"""What people call images: paths, folders, lists and arrays, each with its modality."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmvireid.datasets import DatasetError, ImageRecord, ListFileDataset
from mmvireid.datasets.folders import IMAGE_SUFFIXES, find_images
from mmvireid.datasets.list_file import MODALITY_NAMES
from mmvireid.structures import Modality
from mmvireid.utils.errors import InputError

#: Endings of a file that lists images.
LIST_SUFFIXES = frozenset({'.csv', '.tsv', '.txt'})

PathLike = str | os.PathLike
#: A path of an image, a folder or a list, or an array.
OneInput = PathLike | np.ndarray
Images = OneInput | Iterable[OneInput]
#: One for all images, or one for each entry; or the path of a list that knows them.
ModalityLike = str | int | Modality | os.PathLike | Sequence[str | int | None] | None


class ImageInput(NamedTuple):
    """One image to be embedded.

    Attributes:
        path: of its file, empty for an array.
        modality: 0 visible, 1 infrared.
        identity: -1 where unknown.
        camera: 0 where unknown.
        array: uint8 RGB of shape ``(H, W, 3)``, None for a file.
    """

    path: str
    modality: int
    identity: int = -1
    camera: int = 0
    array: np.ndarray | None = None


def collect_images(images: Images, modality: ModalityLike = None) -> list[ImageInput]:
    """List the images that were asked for, in order, each with its modality.

    Args:
        images: one entry or several. An entry is an image file; a folder, which stands for
            all images in it and below it, each once, sorted by path; a list file in the form of
            :class:`mmvireid.datasets.ListFileDataset`, which knows identity, camera and
            modality of its images; or an array, uint8 RGB of shape ``(H, W, 3)`` or grey
            of shape ``(H, W)``. An array of shape ``(N, H, W, 3)`` is N images.
        modality: ``'visible'`` or ``'infrared'`` (also ``rgb``, ``ir``, 0, 1) for all
            images, or one for each entry; or the path of a list file that names them. A
            list file among the images needs none (None where there is one for each).

    Returns:
        The images. Files are known to exist but not read.

    Raises:
        InputError: if an entry is nothing of this, a folder has no image, nothing was
            given, or the modality of an image is unknown.
        DatasetError: if a list is malformed.
    """
    if isinstance(images, np.ndarray) and images.ndim == 4:
        images = list(images)
    elif isinstance(images, (str, os.PathLike, np.ndarray)):
        images = [images]
    entries = list(images)
    if not entries:
        raise InputError('no images were given: the list of images is empty.')
    lookup = _lookup(modality)
    modalities = [None] * len(entries) if lookup else _modality_of_each(modality, len(entries))
    collected = []
    for number, (entry, own) in enumerate(zip(entries, modalities)):
        collected += _expand(entry, number, own, lookup)
    return collected


def list_files(path: PathLike) -> list[str]:
    """List the files of a gallery, whatever their modality.

    Args:
        path: an image, a folder or a list file, as in :func:`collect_images`.

    Returns:
        Paths of the images.

    Raises:
        InputError: if there is no image.
        DatasetError: if a list is malformed.
    """
    path = os.fspath(path)
    return [record.path for record in _read_list(path)] if is_list(path) else _files(path)


def is_list(path: PathLike) -> bool:
    """Tell whether a path is a list file, which knows the modality of its images.

    Args:
        path: of an image, a folder or a list file.
    """
    return Path(path).suffix.lower() in LIST_SUFFIXES and os.path.isfile(path)


def read_modality(value: str | int | Modality) -> Modality:
    """Understand one name of a modality.

    Args:
        value: ``'visible'``, ``'rgb'``, 0, ``'infrared'``, ``'ir'`` or 1.

    Returns:
        The modality.

    Raises:
        InputError: for anything else.
    """
    value = value.item() if hasattr(value, 'item') else value  # NumPy's and PyTorch's numbers
    text = str(int(value)) if isinstance(value, int) else str(value).lower()
    if text not in MODALITY_NAMES:
        raise InputError(
            f'the models have no stem for images of modality "{value}": write visible or '
            'infrared.')
    return MODALITY_NAMES[text]


def _modality_of_each(modality: ModalityLike, num: int) -> list:
    """Give each entry its modality, None where nothing was said."""
    if isinstance(modality, os.PathLike) or (
            isinstance(modality, str) and Path(modality).suffix.lower() in LIST_SUFFIXES):
        raise InputError(f'there is no list file "{modality}" to look modalities up in.')
    if modality is None or isinstance(modality, (str, int, np.integer)):
        return [None if modality is None else read_modality(modality)] * num
    values = list(modality)
    if len(values) != num:
        raise InputError(
            f'{num} images were given with {len(values)} modalities: give one for all, or one '
            'for each.')
    return [None if value is None else read_modality(value) for value in values]


def _lookup(modality: ModalityLike) -> dict[str, ImageRecord]:
    """Read the list that ``modality`` names, if it names one; by absolute path."""
    if isinstance(modality, (str, os.PathLike)) and is_list(modality):
        return {os.path.abspath(record.path): record for record in _read_list(modality)}
    return {}


def _expand(entry: OneInput, number: int, modality: Modality | None,
            lookup: dict[str, ImageRecord]) -> list[ImageInput]:
    """Turn one entry into images."""
    if isinstance(entry, np.ndarray):
        return [ImageInput('', _require_modality(modality, f'image {number}, an array'),
                           array=_as_rgb(entry, number))]
    if not isinstance(entry, (str, os.PathLike)):
        raise InputError(
            f'image {number} is a {type(entry).__name__}: give a path, a folder, a list file or '
            'a NumPy array.')
    path = os.fspath(entry)
    if is_list(path):
        if modality is not None:
            raise InputError(
                f'the list "{path}" says the modality of its images: leave it out, or give '
                'None for this entry.')
        return [ImageInput(r.path, r.modality, r.identity, r.camera) for r in _read_list(path)]
    return [_file(name, modality, lookup) for name in _files(path)]


def _files(path: str) -> list[str]:
    """List the images of a folder, or the one file."""
    if os.path.isfile(path):
        if os.path.basename(path).startswith('.'):
            raise InputError(f'the file "{path}" is hidden: names that begin with a dot are no '
                             'images, give another one.')
        return [path]
    if not os.path.isdir(path):
        raise InputError(f'there is no image or folder "{path}".')
    found = find_images(path)
    if not found:
        raise InputError(
            f'the folder "{path}" holds no image ({", ".join(sorted(IMAGE_SUFFIXES))}).')
    return found


def _file(path: str, modality: Modality | None, lookup: dict[str, ImageRecord]) -> ImageInput:
    record = lookup.get(os.path.abspath(path))
    if record is not None:
        return ImageInput(path, record.modality, record.identity, record.camera)
    if lookup:
        raise InputError(f'the list of modalities does not name the image "{path}".')
    return ImageInput(path, _require_modality(modality, f'"{path}"'))


def _require_modality(modality: Modality | None, what: str) -> int:
    if modality is None:
        raise InputError(
            f"nobody said whether {what} is visible or infrared: pass modality='visible' or "
            "modality='infrared', one for each image, or a list file with a modality column.")
    return int(modality)


def _as_rgb(array: np.ndarray, number: int) -> np.ndarray:
    """Check an array; grey becomes three equal channels."""
    if array.dtype != np.uint8 or array.size == 0 or not (
            array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise InputError(
            f'image {number} is an array of type {array.dtype} and shape {array.shape}: give '
            'uint8 RGB of shape (height, width, 3), or grey of shape (height, width).')
    return np.stack([array] * 3, axis=-1) if array.ndim == 2 else np.ascontiguousarray(array)


def _read_list(path: PathLike) -> list[ImageRecord]:
    """Read a list in its own order."""
    records = ListFileDataset(os.fspath(path), split='test', lazy_init=True).load_records()
    if not records:
        raise DatasetError(f'the list "{path}" names no image: write one line for each.')
    return records
