"""Surfaces: what a cloth looks like in colour and in infrared."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmvireid.utils.errors import InputError


def _wave(x: np.ndarray, edge: float) -> np.ndarray:
    """Return a square wave of period 1 and duty 1/2 with smooth edges.

    The width of the edges keeps thin stripes free of moiré.

    Args:
        x (np.ndarray): Positions in periods.
        edge (float): Width of an edge, in periods.

    Returns:
        np.ndarray: Values in [0, 1], the shape of ``x``.
    """
    triangle = np.abs(x - np.floor(x) - 0.5) * 4 - 1
    return np.clip(triangle / (4 * max(edge, 1e-3)) + 0.5, 0, 1)


def _step(x: np.ndarray, edge: float) -> np.ndarray:
    return np.clip(x / max(edge, 1e-3) + 0.5, 0, 1)


def _horizontal(u, v, edge, offset):
    return _wave(v + offset, edge)


def _vertical(u, v, edge, offset):
    return _wave(u + offset, edge)


def _diagonal(u, v, edge, offset):
    return _wave(0.7 * (u + v) + offset, edge)


def _checks(u, v, edge, offset):
    a, b = _wave(u + offset, edge), _wave(v, edge)
    return a + b - 2 * a * b


def _gingham(u, v, edge, offset):
    return 0.5 * (_wave(u + offset, edge) + _wave(v, edge))


def _grid(u, v, edge, offset):
    lines = np.maximum(np.abs(np.mod(u + offset, 1) - 0.5), np.abs(np.mod(v, 1) - 0.5))
    return _step(lines - 0.34, edge)


def _dots(u, v, edge, offset):
    row = np.floor(v)
    x = np.mod(u + offset + 0.5 * np.mod(row, 2), 1) - 0.5
    y = v - row - 0.5
    return _step(0.32 - np.sqrt(x * x + y * y), edge)


def _zigzag(u, v, edge, offset):
    return _wave(v + np.abs(np.mod(u, 1) - 0.5) + offset, edge)


def _argyle(u, v, edge, offset):
    diamond = np.abs(np.mod(u + offset, 1) - 0.5) + np.abs(np.mod(v * 0.7, 1) - 0.5)
    return _step(0.36 - diamond, edge)


def _camouflage(u, v, edge, offset):
    o = 40 * offset
    blobs = (np.sin(3.1 * u + 1.3 * v + o) + np.sin(2.3 * v - 1.9 * u + 2 * o)
             + np.sin(4.3 * u + 3.7 * v - o))
    return _step(blobs - 0.2, 2 * edge)


#: Patterns repeated over the cloth: name -> function of surface coordinates in periods.
REPEATED: dict[str, Callable] = {
    'horizontal': _horizontal, 'vertical': _vertical, 'diagonal': _diagonal, 'checks': _checks,
    'gingham': _gingham, 'grid': _grid, 'dots': _dots, 'zigzag': _zigzag, 'argyle': _argyle,
    'camouflage': _camouflage}


@dataclass(frozen=True)
class Pattern:
    """A pattern printed on a cloth.

    Args:
        name (str): A key of :data:`REPEATED`, or 'yoke' (the upper part in the
            second tone), 'hem' (the lower part), 'band' (one wide band), 'fade'
            (from one tone to the other), 'halves' (left and right) and 'sides'
            (a stripe along each side).
        period (float): Length of one repetition, in body heights.
        offset (float): Phase, 0 to 1; also where yoke, band and hem begin.
    """

    name: str
    period: float
    offset: float

    def __call__(self, u: np.ndarray, v: np.ndarray, along: np.ndarray,
                 across: np.ndarray, pixel: float) -> np.ndarray:
        """Return how much of the second tone each point shows.

        Args:
            u (np.ndarray): Position around the body, in body heights.
            v (np.ndarray): Position along the garment, in body heights.
            along (np.ndarray): ``v`` as a part of the garment's length, 0 at its top.
            across (np.ndarray): Position across the drawn part, -1 to 1.
            pixel (float): Size of a pixel, in body heights.

        Returns:
            np.ndarray: Values in [0, 1], the shape of ``u``.
        """
        repeated = REPEATED.get(self.name)
        if repeated is not None:
            return repeated(u / self.period, v / self.period, pixel / self.period, self.offset)
        if self.name == 'yoke':
            return _step(0.3 + 0.25 * self.offset - along, 0.04)
        if self.name == 'hem':
            return _step(along - 0.55 - 0.2 * self.offset, 0.04)
        if self.name == 'band':
            return _step(0.13 - np.abs(along - 0.3 - 0.3 * self.offset), 0.04)
        if self.name == 'fade':
            return np.clip(along, 0, 1)
        if self.name == 'halves':
            return _step(np.sin(u * 9 + (self.offset > 0.5) * np.pi), 0.3)
        if self.name == 'sides':
            return _step(np.abs(across) - 0.5, 0.2)
        raise InputError(f'Unknown pattern {self.name!r}.')


@dataclass(frozen=True)
class Material:
    """A cloth, skin or hair as both kinds of camera see it.

    Args:
        colour (tuple[float, float, float]): RGB in [0, 1] of the first tone.
        accent (tuple[float, float, float]): RGB of the pattern's second tone.
        reflectance (float): Near-infrared brightness of the first tone. It is
            drawn independently of ``colour``: dyes that look black by day often
            shine under an infrared lamp.
        accent_reflectance (float): Near-infrared brightness of the second tone.
        pattern (Pattern | None): What is printed, None for a plain cloth.
    """

    colour: tuple[float, float, float]
    accent: tuple[float, float, float]
    reflectance: float
    accent_reflectance: float
    pattern: Pattern | None = None

    def tones(self, infrared: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return both tones as a camera records them.

        Args:
            infrared (bool): Whether the camera is an infrared one.

        Returns:
            tuple[np.ndarray, np.ndarray]: Two float32 arrays, shape ``(1,)`` for
            infrared and ``(3,)`` for colour.
        """
        if infrared:
            pair = (self.reflectance,), (self.accent_reflectance,)
        else:
            pair = self.colour, self.accent
        return np.asarray(pair[0], np.float32), np.asarray(pair[1], np.float32)

    def plain(self) -> 'Material':
        """Return the same cloth without its pattern."""
        return Material(self.colour, self.accent, self.reflectance, self.accent_reflectance)

    def swapped(self) -> 'Material':
        """Return the plain cloth of the second tone."""
        return Material(self.accent, self.colour, self.accent_reflectance, self.reflectance)
