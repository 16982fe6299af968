"""The one way from a picture's file to its pixels."""

import io
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from .errors import DatasetError

#: What turns a picture upright, by its EXIF orientation; 1 and unknown values need nothing.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TIFF_BITS_PER_SAMPLE = 258
_JPEG2000_STREAM = b'\xff\x4f\xff\x51'
#: Pillow's name of stored samples wider than a byte, as in ``RGB;16B``. ``BGR;16`` is five or
#: six bits a channel.
_WIDE_SAMPLES = re.compile(r'(?!BGR)\w+;(16|32|64)')


class MissingPictureError(DatasetError):
    """Report a picture whose file is not there."""


class _TooDeep(Exception):
    """Say that the values of a picture do not fit into 8 bits."""


def load_picture(path: str | os.PathLike,
                 *,
                 exif_orientation: bool = True,
                 at_least: tuple[int, int] | None = None) -> Image.Image:
    """Read a file as 8-bit RGB, turned upright.

    Whoever needs the pixels of a file calls this or :func:`decode_picture`, so that what the
    network sees, what a picture shows and what is refused are always the same.

    Args:
        path: the file.
        exif_orientation: whether to turn the picture as its EXIF orientation says. TIFF
            files are always turned, which Pillow does by itself.
        at_least: (width, height) that is enough, where a smaller picture is cheaper to
            decode; None for the whole size.

    Returns:
        The picture, mode RGB.

    Raises:
        MissingPictureError: if there is no such file.
        DatasetError: if the file may not be read, is no image, is cut short, or has values
            of more than 8 bits, as raw thermal footage has.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> from mmvireid.utils.pictures import load_picture
        >>> with tempfile.NamedTemporaryFile(suffix='.png') as file:
        ...     Image.new('L', (64, 128), color=7).save(file.name)
        ...     picture = load_picture(file.name)
        >>> picture.mode, picture.size, picture.getpixel((0, 0))
        ('RGB', (64, 128), (7, 7, 7))
    """
    with picture_errors(path):
        return decode_picture(
            Path(path).read_bytes(), exif_orientation=exif_orientation, at_least=at_least)


def decode_picture(content: bytes,
                   *,
                   exif_orientation: bool = True,
                   at_least: tuple[int, int] | None = None) -> Image.Image:
    """Decode the bytes of a file; to be called within :func:`picture_errors`.

    Args:
        content: all bytes of the file.
        exif_orientation: as in :func:`load_picture`.
        at_least: as in :func:`load_picture`.

    Returns:
        The picture, mode RGB.
    """
    with Image.open(io.BytesIO(content)) as picture:
        if _is_deeper_than_8_bits(picture, content):
            raise _TooDeep
        if at_least is not None:
            picture.draft('RGB', at_least)
        picture.load()  # first, because a PNG may hold its EXIF block behind the pixels
        turn = _UPRIGHT.get(_orientation(picture)) if exif_orientation else None
        pixels = picture.convert('RGB')
        return pixels if turn is None else pixels.transpose(turn)


@contextmanager
def picture_errors(path: str | os.PathLike) -> Iterator[None]:
    """Say in one sentence why a picture cannot be used.

    Args:
        path: its file.

    Yields:
        None: to the block that reads and decodes.

    Raises:
        MissingPictureError: as :func:`load_picture`.
        DatasetError: as :func:`load_picture`.
    """
    path = os.fspath(path)
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise MissingPictureError(
            f'the image "{path}" does not exist: check data_root and the list that names it, or '
            'copy the image again') from None
    except PermissionError:
        raise DatasetError(
            f'the image "{path}" may not be read: correct its access rights') from None
    except _TooDeep:
        # Pillow would cut one channel at 255, which makes a thermal image white, and keep
        # the upper half of several, which leaves next to nothing of its contrast.
        raise DatasetError(
            f'the image "{path}" has values of more than 8 bits: convert all such images to '
            '8 bits, with one and the same range of values for all') from None
    except UnidentifiedImageError:
        raise DatasetError(
            f'"{path}" is not an image file: copy it again or remove it') from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow raises SyntaxError for a broken PNG.
        raise DatasetError(
            f'the image "{path}" cannot be decoded ({error}): copy it again or remove '
            'it') from error


def _is_deeper_than_8_bits(picture: Image.Image, content: bytes) -> bool:
    """Tell whether the file holds more than Pillow's 8-bit modes can."""
    if picture.mode[0] in 'IF':
        return True
    if picture.format == 'TIFF':
        return max(picture.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1, ))) > 8
    if picture.format == 'JPEG2000':
        # Pillow does not say. The code stream does: 38 bytes behind its marker stands the
        # number of components, then three bytes for each, the first of them bits less one.
        num, = struct.unpack_from('>H', content, start := content.index(_JPEG2000_STREAM) + 40)
        return max(bits & 127 for bits in content[start + 2:start + 2 + 3 * num:3]) > 7
    for decoder, _, _, details in picture.tile:
        details = details if isinstance(details, tuple) else (details, )
        if decoder.startswith('ppm') and details[1] > 255:  # the largest value
            return True
        if any(isinstance(item, str) and _WIDE_SAMPLES.match(item) for item in details):
            return True
    return False


def _orientation(picture: Image.Image) -> int:
    """Read the EXIF orientation, 1 where there is none or the EXIF block is broken."""
    if picture.format == 'TIFF':
        return 1
    try:
        return picture.getexif().get(ExifTags.Base.Orientation, 1)
    except (KeyError, SyntaxError, TypeError, ValueError, struct.error, ZeroDivisionError):
        return 1
