"""Contact sheet: the same people before all cameras, to be looked at."""

from collections.abc import Sequence

import cv2
import numpy as np

from mmvireid.utils.errors import InputError

from .camera import SYSU_CAMERAS
from .world import SyntheticWorld

_MARGIN, _HEADER, _LABEL = 4, 22, 46


def contact_sheet(world: SyntheticWorld, identities: Sequence[int],
                  size: tuple[int, int] = (192, 84)) -> np.ndarray:
    """Draw people before SYSU-MM01's six cameras.

    One row per person and one column per camera, the visible cameras first, so
    that a look along a row shows what is left of a person in infrared.

    Args:
        world (SyntheticWorld): People and places.
        identities (Sequence[int]): People, one per row.
        size (tuple[int, int]): Height and width of a picture, in pixels.

    Returns:
        np.ndarray: RGB of shape ``(H, W, 3)``, uint8.

    Raises:
        InputError: If there are no people.
    """
    if not len(identities):
        raise InputError('A contact sheet needs at least one person.')
    cameras = sorted(SYSU_CAMERAS.values(), key=lambda c: (c.infrared, c.number))
    height, width = size[0] + _MARGIN, size[1] + _MARGIN
    sheet = np.full((_HEADER + height * len(identities), _LABEL + width * len(cameras), 3), 255,
                    np.uint8)
    for column, camera in enumerate(cameras):
        left = _LABEL + width * column
        kind = 'IR' if camera.infrared else 'RGB'
        _write(sheet, f'cam{camera.number} {kind}', (left + 4, 15))
        for row, identity in enumerate(identities):
            top = _HEADER + height * row
            picture = world.image(identity, camera, 1, size, occlude=False)
            sheet[top:top + size[0], left:left + size[1]] = picture
    for row, identity in enumerate(identities):
        _write(sheet, f'{identity:04d}', (4, _HEADER + height * row + size[0] // 2))
    return sheet


def _write(sheet: np.ndarray, text: str, corner: tuple[int, int]) -> None:
    cv2.putText(sheet, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
