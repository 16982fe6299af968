"""What the figures of the documentation have in common."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mmvireid.visualization import save_picture
from mmvireid.visualization.figure import FAINT, INK, new_figure, to_picture

__all__ = ['FAINT', 'GRAPH', 'INFRARED', 'INK', 'LIGHT', 'MARKERS', 'MODALITY', 'VISIBLE',
           'bare', 'draw_all', 'new_figure', 'to_picture', 'unit']

#: Told apart with any kind of colour vision (Okabe and Ito). Shapes differ as well.
VISIBLE, INFRARED, GRAPH = '#0072b2', '#d55e00', '#009e73'
LIGHT = '#d8d8d8'
MODALITY, MARKERS = (VISIBLE, INFRARED), ('o', 's')
STATIC = Path(__file__).resolve().parents[1] / '_static'


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to unit length, as float32.

    Args:
        rows: shape ``(N, D)``.

    Returns:
        Shape ``(N, D)``.
    """
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def bare(axes) -> None:
    """Take ticks and frame from axes.

    Args:
        axes: matplotlib's.
    """
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def draw_all(figures: dict[str, Callable[[], Image.Image]]) -> None:
    """Draw the figures of a page into docs/_static, or into the folder ``--out``.

    Args:
        figures: name -> what draws it.
    """
    parser = argparse.ArgumentParser(description='draw the figures of a page')
    parser.add_argument('names', nargs='*', help='which figures, by default all')
    parser.add_argument('--out', type=Path, default=STATIC, help='folder of the pictures')
    args = parser.parse_args()
    for name in args.names or figures:
        # A palette halves the files. The margin keeps titles off a dark page.
        picture = ImageOps.expand(figures[name](), 20, 'white').quantize(
            256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        print(save_picture(picture, args.out / f'{name}.png'))
