"""Antialiased polygons filled with patterned, shaded cloth."""

import math
from collections.abc import Callable

import cv2
import numpy as np

from .material import Material

#: A region of a garment with a cloth of its own: function of (around, along) -> weight.
Inlay = tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], np.ndarray]

_SHIFT = 4
# Unit vectors of a capsule's two half circles, for a capsule that points right.
_ENDS = np.stack([np.concatenate([f(np.linspace(0.5, 1.5, 7) * np.pi),
                                  f(np.linspace(-0.5, 0.5, 7) * np.pi)])
                  for f in (np.cos, np.sin)], axis=1)


class Painter:
    """A canvas in body coordinates.

    Args:
        canvas (np.ndarray): Picture of shape ``(H, W, C)``, float32 in [0, 1],
            ``C`` being 3 for colour and 1 for infrared. It is painted in place.
        origin (tuple[float, float]): Pixel (x, y) of the ground below the person.
        scale (float): Pixels per body height.
        infrared (bool): Which look of the materials is painted.
        light (float): Side from which light comes, -1 (left) to 1 (right).
    """

    def __init__(self, canvas: np.ndarray, origin: tuple[float, float], scale: float,
                 infrared: bool, light: float = 0.0) -> None:
        self.canvas = canvas
        self.origin = origin
        self.scale = scale
        self.infrared = infrared
        self.light = light
        size = canvas.shape[:2]
        self._corner = np.array(origin) * (1 << _SHIFT)
        self._mask = np.zeros(size, np.uint8)
        self._right = ((np.arange(size[1], dtype=np.float32)[None] - origin[0])
                       * np.float32(1 / scale))
        self._up = ((origin[1] - np.arange(size[0], dtype=np.float32)[:, None])
                    * np.float32(1 / scale))

    def fill(self, outline: np.ndarray, material: Material,
             axis: tuple[tuple[float, float], tuple[float, float], float] | None = None,
             yaw: float | None = None, inlays: tuple[Inlay, ...] = (),
             radius: float = 0.1) -> None:
        """Paint a polygon.

        Args:
            outline (np.ndarray): Corners of shape ``(N, 2)``: right and up, in
                body heights.
            material (Material): Cloth.
            axis (tuple | None): Start, end and half-width of the part's middle
                line, which carries pattern and shading; None paints flat.
            yaw (float | None): Rotation of a round part; its pattern then turns
                with the body. None for parts that look alike from everywhere.
            inlays (tuple): Regions of other cloths, see :data:`Inlay`.
            radius (float): Radius of a round part, in body heights.
        """
        factor = self.scale * (1 << _SHIFT)
        corners = np.rint(outline * (factor, -factor) + self._corner).astype(np.int32)
        x, y, width, height = cv2.boundingRect(corners)
        # Antialiasing reaches two pixels beyond the corners.
        x0, y0 = max((x >> _SHIFT) - 2, 0), max((y >> _SHIFT) - 2, 0)
        x1 = min(((x + width) >> _SHIFT) + 4, self._mask.shape[1])
        y1 = min(((y + height) >> _SHIFT) + 4, self._mask.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        rows, columns = slice(y0, y1), slice(x0, x1)
        cv2.fillPoly(self._mask, [corners], 255, cv2.LINE_AA, _SHIFT)
        mask = self._mask[rows, columns]
        weight = mask * np.float32(1 / 255)
        mask[:] = 0

        base, accent = material.tones(self.infrared)
        region = self.canvas[rows, columns]
        value = base
        if axis is not None:
            value = self._cloth(rows, columns, material, base, accent, axis, yaw, inlays, radius)
        change = value - region
        change *= weight[..., None]
        region += change

    def _cloth(self, rows: slice, columns: slice, material: Material, base: np.ndarray,
               accent: np.ndarray, axis: tuple, yaw: float | None,
               inlays: tuple[Inlay, ...], radius: float) -> np.ndarray:
        start, end, half = axis
        right = self._right[:, columns] - start[0]
        up = self._up[rows] - start[1]
        # Python floats, not NumPy's: they leave float32 arrays in float32.
        length = max(math.hypot(end[0] - start[0], end[1] - start[1]), 1e-3)
        x, y = (end[0] - start[0]) / length, (end[1] - start[1]) / length
        across = up * (x / half) - right * (y / half)
        # The edge pixels of a thin part lie beyond its edge.
        np.maximum(across, -1, out=across)
        np.minimum(across, 1, out=across)
        shade = (0.14 * self.light - 0.3 * across) * across
        shade += 1
        if material.pattern is None and not inlays:
            return base * shade[..., None]

        along = right * x + up * y
        around = across * half
        if yaw is not None:
            # Zero at the person's front, in (-pi, pi].
            around = np.mod(np.arcsin(across) - (yaw - math.pi), 2 * math.pi) - math.pi
        value = base
        if material.pattern is not None:
            u = around if yaw is None else around * radius
            tone = material.pattern(u, along, along / length, across, 1 / self.scale)
            value = base + tone[..., None] * (accent - base)
        for region, colour in inlays:
            part = region(around, along / length)[..., None]
            value = value + part * (colour - value)
        return value * shade[..., None]

    def capsule(self, start: tuple[float, float], end: tuple[float, float], start_half: float,
                end_half: float, material: Material) -> None:
        """Paint a limb with round ends.

        Args:
            start (tuple[float, float]): Right and up of one end, in body heights.
            end (tuple[float, float]): Right and up of the other end.
            start_half (float): Half-width at the start.
            end_half (float): Half-width at the end.
            material (Material): Cloth.
        """
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        outline = _ENDS @ turn
        outline[:7] *= start_half
        outline[:7] += start
        outline[7:] *= end_half
        outline[7:] += end
        self.fill(outline, material, (start, end, max(start_half, end_half)))

    def ellipse(self, centre: tuple[float, float], half: tuple[float, float], material: Material,
                arc: tuple[float, float] = (0.0, 2.0)) -> None:
        """Paint an ellipse, or the part of it between two angles.

        Args:
            centre (tuple[float, float]): Right and up, in body heights.
            half (tuple[float, float]): Half-width and half-height.
            material (Material): Cloth.
            arc (tuple[float, float]): Angles in multiples of pi, counter-clockwise.
        """
        angle = np.linspace(arc[0], arc[1], 20) * np.pi
        outline = np.stack([centre[0] + half[0] * np.cos(angle),
                            centre[1] + half[1] * np.sin(angle)], axis=1)
        self.fill(outline, material, ((centre[0], centre[1] + half[1]),
                                      (centre[0], centre[1] - half[1]), half[0]))
