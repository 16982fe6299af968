"""Reading folders and index files, with errors a person can act on."""

import codecs
import os
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from mmvireid.utils.errors import DatasetError

PathLike = str | os.PathLike

#: What counts as an image; anything else in an image folder is ignored.
IMAGE_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'})


def is_image_name(name: str) -> bool:
    """Tell by its name whether a file is an image.

    A name that begins with a dot never is: macOS writes ``._0001.jpg`` beside ``0001.jpg`` on
    disks of other systems, and what other programs hide is not meant for anybody either.

    Args:
        name: name of the file, without its folder.

    Returns:
        Whether it ends as an image does and is not hidden.

    Examples:
        >>> from mmvireid.datasets.folders import is_image_name
        >>> [is_image_name(name) for name in ('0001.JPG', '._0001.jpg', 'Thumbs.db')]
        [True, False, False]
    """
    return not name.startswith('.') and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


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


def read_text(path: PathLike, *, official: bool = True) -> str:
    """Read an index file.

    Args:
        path: a text file.
        official: whether the file came with a dataset, so that it can be had again; False
            for somebody's own list.

    Returns:
        The file's text.

    Raises:
        DatasetError: if the file is missing, may not be read or is not text in UTF-8.
    """
    try:
        content = Path(path).read_bytes()
        # UTF-16 is announced by its first bytes, or full of zero bytes, which text has not.
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b'\0' in content:
            raise UnicodeDecodeError('utf-8', content, 0, 1, 'UTF-16 or no text at all')
        return content.decode('utf-8-sig')
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise DatasetError(
            f'the index file "{path}" is missing: copy it from the original dataset, or check '
            'that data_root is the folder that holds it' if official else
            f'there is no list "{path}": correct ann_file or data_root') from None
    except PermissionError:
        raise _unreadable('index file', path) from None
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        cure = ', or copy it again from the original dataset' if official else ''
        raise DatasetError(
            f'line {line} of "{path}" is not text in UTF-8: save it as UTF-8{cure}') from None


def list_images(folder: PathLike) -> tuple[list[str], list[str]]:
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
                is_image = is_image_name(entry.name) and _is_file(entry)
                (images if is_image else others).append(entry.name)
    except PermissionError:
        raise _unreadable('folder', folder) from None
    return sorted(images), sorted(others)


def find_images(folder: PathLike) -> list[str]:
    """List the images in a folder and below it, each real folder and file once.

    Links are followed, but what can be reached without one comes first: so a link to a
    folder above, or a second name of an image, adds nothing. Hidden folders are left out as
    hidden files are.

    Args:
        folder: an existing folder.

    Returns:
        Paths that begin with ``folder``, sorted.

    Raises:
        DatasetError: if a folder may not be read.
    """
    waiting, seen = deque([os.fspath(folder)]), set()
    path_of, links = {}, []
    while waiting:
        folder = waiting.popleft()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except PermissionError:
            raise _unreadable('folder', folder) from None
        for entry in entries:
            if entry.name.startswith('.'):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.appendleft(entry.path)
            elif entry.is_symlink() and os.path.isdir(entry):
                waiting.append(entry.path)
            elif is_image_name(entry.name) and _is_file(entry):
                if entry.is_symlink():
                    links.append(entry.path)
                else:
                    path_of[os.path.join(real, entry.name)] = entry.path
    for path in sorted(links):
        path_of.setdefault(os.path.realpath(path), path)
    return sorted(path_of.values())


def _is_file(entry: os.DirEntry) -> bool:
    """Tell whether an entry is a file, or a link to one.

    A file is known by its folder; to ask for each costs minutes on a disk across a network.
    A link that leads in a circle is none, where the entry itself would raise an error.
    """
    return entry.is_file(follow_symlinks=False) or os.path.isfile(entry)


def real_paths(paths: Sequence[str]) -> list[str]:
    """Say which file each path means, so that two names of one file are seen to be one.

    Args:
        paths: of existing files.

    Returns:
        For each its absolute path, without links.
    """
    folders: dict[str, str] = {}
    real = []
    for path in paths:
        folder, name = os.path.split(path)
        # Once for each folder: to look at every part of every path takes minutes.
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        inside = os.path.join(folders[folder], name)
        real.append(os.path.realpath(inside) if os.path.islink(inside) else inside)
    return real


def _unreadable(kind: str, path: PathLike) -> DatasetError:
    return DatasetError(f'the {kind} "{path}" may not be read: correct its access rights')


def read_identities(path: PathLike) -> list[int]:
    """Read identity numbers separated by commas or white space.

    Args:
        path: for example ``exp/train_id.txt``, one comma-separated line.

    Returns:
        The identities, sorted, each once.

    Raises:
        DatasetError: if the file is missing, empty or holds anything but numbers.
    """
    fields = [field for field in re.split(r'[,\s]+', read_text(path)) if field]
    numbers = [whole_number(field) for field in fields]
    wrong = [field for field, number in zip(fields, numbers) if number is None or number < 0]
    if wrong or not fields:
        found = f'"{wrong[0]}"' if wrong else 'nothing'
        raise DatasetError(
            f'"{path}" should hold identity numbers separated by commas but holds {found}: '
            'copy it again from the original dataset')
    return sorted(set(numbers))


def whole_number(text: str) -> int | None:
    """Read a whole number as people write identities and cameras.

    Args:
        text: what a file says.

    Returns:
        The number; None for anything else, also where it has more than 18 digits, which do
        not fit into the arrays, or digits other than 0 to 9.

    Examples:
        >>> from mmvireid.datasets.folders import whole_number
        >>> whole_number('-1'), whole_number('17'), whole_number('²'), whole_number('1_000')
        (-1, 17, None, None)
    """
    return int(text) if re.fullmatch('[+-]?[0-9]{1,18}', text) else None


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
        DatasetError: if the path lies outside of ``root``, or is hidden.
    """
    written = written.replace('\\', '/')
    if '..' not in written:  # which links may give another meaning
        written = os.path.normpath(written)  # "./a.jpg" is "a.jpg"
    joined = os.path.join(os.fspath(root), written)  # an absolute path stays itself
    if os.path.basename(joined).startswith('.'):
        raise DatasetError(
            f'line {line} of "{index_file}" names the hidden file "{written}": names that begin '
            'with a dot are no images, remove the line')
    top = os.path.abspath(root)
    if os.path.commonpath([top, os.path.abspath(joined)]) != top:
        raise DatasetError(
            f'line {line} of "{index_file}" points outside the dataset folder "{root}": '
            f'"{written}" must be a path below that folder')
    return joined


def require_files(paths: Sequence[str], index_file: PathLike, *, official: bool = True) -> None:
    """Stop before training, not in the middle of it, if listed images are missing.

    Args:
        paths: joined paths of an index file.
        index_file: the index file, for the message.
        official: whether index and images came with a dataset.

    Raises:
        DatasetError: if any path is not a file.
    """
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        source = ' from the original dataset' if official else ''
        raise DatasetError(
            f'"{index_file}" lists {len(missing)} images that do not exist, first '
            f'"{missing[0]}": copy them{source} or correct the list')


def read_path_label_list(root: PathLike, index_file: PathLike) -> list[tuple[str, int]]:
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
        label = whole_number(fields[-1])
        if len(fields) != 2 or label is None or label < 0:
            raise DatasetError(
                f'line {number} of "{index_file}" should read "<path> <label>" but reads '
                f'"{line.strip()}": copy the file again or correct the line')
        path = inside_root(root, fields[0].strip(), index_file, number)
        pairs.append((path, label))
    if not pairs:
        raise DatasetError(
            f'the index file "{index_file}" lists no image: copy it again from the original '
            'dataset')
    require_files([path for path, _ in pairs], index_file)
    return pairs
