"""From a matplotlib figure to a picture, without a window and without global state."""


import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

INK, FAINT = '#202020', '#606060'


def new_figure(size: tuple[float, float]) -> Figure:
    """Make an empty figure that is laid out by its content.

    Figures of ``matplotlib.pyplot`` stay in memory until they are closed and depend on
    the screen; this one does neither.

    Args:
        size: width and height in inches.

    Returns:
        The figure, on a canvas of its own.
    """
    figure = Figure(figsize=size, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def to_picture(figure: Figure, dots_per_inch: int = 100) -> Image.Image:
    """Draw a figure.

    Args:
        figure: what :func:`new_figure` made.
        dots_per_inch: pixels an inch.

    Returns:
        The picture, RGB.
    """
    figure.set_dpi(dots_per_inch)
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert('RGB')
