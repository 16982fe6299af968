"""Small pictures that fit into a given number of bytes."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mmvireid.utils.errors import EvaluationError
from mmvireid.utils.pictures import load_picture

#: (height in pixels, WebP quality), best first; a picture is half as wide as high.
SHRINKING_STEPS = ((192, 75), (160, 70), (128, 70), (128, 55), (112, 50), (96, 45), (80, 40),
                   (64, 35), (48, 30), (32, 20))
#: Images encoded to foresee the size of all.
_SAMPLE_SIZE = 64


@dataclass(frozen=True)
class Thumbnails:
    """Pictures for a page, all of one size.

    Args:
        images: one base64 text a picture.
        height: in pixels.
        width: in pixels.
        mime: their format.
    """

    images: list[str]
    height: int
    width: int
    mime: str = 'image/webp'

    @property
    def num_bytes(self) -> int:
        """Number of characters that the pictures take in a page."""
        # Two quotation marks and a comma around each.
        return sum(map(len, self.images)) + 3 * len(self.images)


def encode_thumbnails(paths: Sequence[str], max_bytes: int) -> Thumbnails:
    """Shrink images until all of them together fit.

    Size and quality come from :data:`SHRINKING_STEPS`: the best step that a sample of the images
    foresees to fit is tried, then the next, until it does.

    Args:
        paths: image files.
        max_bytes: characters that the pictures may take in the page.

    Returns:
        One picture a path.

    Raises:
        EvaluationError: if even the smallest pictures do not fit.
        DatasetError: if a file is no image.
    """
    if not len(paths):
        return Thumbnails([], SHRINKING_STEPS[0][0], SHRINKING_STEPS[0][0] // 2)
    probes = np.unique(np.linspace(0, len(paths) - 1, _SAMPLE_SIZE, dtype=int))
    sample = [_load(paths[i]) for i in probes]
    for step in SHRINKING_STEPS:
        foreseen = np.mean([len(_encode(image, step)) for image in sample])
        if foreseen * len(paths) > max_bytes:
            continue
        height, width = step[0], step[0] // 2
        thumbnails = Thumbnails([_encode(_load(path), step) for path in paths], height, width)
        if thumbnails.num_bytes <= max_bytes:
            return thumbnails
    raise EvaluationError(
        f'{len(paths)} pictures do not fit into the {max(max_bytes, 0) / 1e6:.1f} MB that the '
        'report has left for them: show fewer settings or fewer results for each query, or '
        'allow a larger file.')


def _load(path: str) -> Image.Image:
    """Decode a file at about the largest size of the ladder."""
    return load_picture(path, at_least=(SHRINKING_STEPS[0][0], SHRINKING_STEPS[0][0]))


def _encode(image: Image.Image, step: tuple[int, int]) -> str:
    """Encode one picture as base64 text."""
    height, quality = step
    buffer = io.BytesIO()
    image.resize((height // 2, height), Image.Resampling.BOX if image.height > height
                 else Image.Resampling.BICUBIC).save(buffer, 'WEBP', quality=quality, method=4)
    return base64.b64encode(buffer.getvalue()).decode()
