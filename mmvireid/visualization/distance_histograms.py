"""The modality gap as a picture: distances within a modality and across the two."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from .figure import FAINT, INK, new_figure, to_picture
from .pair_distances import PairHistogram

#: Told apart with any kind of colour vision (Okabe and Ito).
WITHIN, ACROSS = '#0072b2', '#d55e00'
_KINDS = ((WITHIN, 'within a modality'), (ACROSS, 'across modalities'))
_NAMES = dict(
    cosine='Cosine distance',
    jaccard='Before correction: plain Jaccard distance',
    modality_aware='After correction: modality-aware Jaccard distance')
_PANELS, _BAR = 4, 1.3  # widths of a panel and of the bar beside it


def draw_distance_histograms(histograms: Mapping[str, PairHistogram],
                             *,
                             eps: float | None = None,
                             title: str = '') -> Image.Image:
    """Draw how far image pairs are from one another, before and after correction.

    A row of panels for pairs of the same person and one for pairs of different people, or
    a single row for all pairs where identities are unknown. In each, pairs within a
    modality stand against pairs across: where the two differ in the first row, the modality
    gap splits people. Pairs without a common neighbour, at Jaccard distance exactly 1, have
    a bar of their own, since most pairs are there.

    Args:
        histograms: from :func:`mmvireid.visualization.pair_histograms`.
        eps: DBSCAN's radius, drawn as a line into the panels of Jaccard distances.
        title: line above the picture.

    Returns:
        The picture, RGB.
    """
    rows = len(next(iter(histograms.values())).counts)
    people = ('All pairs', ) if rows == 1 else ('The same person', 'Different people')
    figure = new_figure((16, 1.4 + 3.2 * rows))
    figure.suptitle(title or 'Distances of image pairs', fontsize=16, color=INK)
    columns = figure.subfigures(1, len(histograms), width_ratios=[
        _PANELS + (_BAR if h.at_one is not None else 0) for h in histograms.values()])
    for column, (name, histogram) in zip(np.atleast_1d(columns), histograms.items()):
        column.suptitle(_NAMES.get(name, name), fontsize=12.5, color=INK)
        with_bar = histogram.at_one is not None
        if with_bar:
            axes = column.subplots(rows, 2, squeeze=False, width_ratios=(_PANELS, _BAR))
        else:
            axes = column.subplots(rows, 1, squeeze=False)
        for row in range(rows):
            _draw_bins(axes[row, 0], histogram, row)
            axes[row, 0].set_title(people[row], fontsize=11, color=INK, loc='left')
            if with_bar:
                _draw_bar(axes[row, 1], histogram, row)
                if eps is not None:
                    _draw_eps(axes[row, 0], eps)
        axes[-1, 0].set_xlabel('distance', color=FAINT)
    return to_picture(figure)


def _shares(counts: np.ndarray, total: int) -> np.ndarray:
    """Return counts in percent of a total, zeros where it is 0."""
    return 100 * counts / max(total, 1)


def _draw_bins(axes: Axes, histogram: PairHistogram, row: int) -> None:
    """Draw the two histograms of a panel, with the mean of each in its legend."""
    for kind, (colour, name) in enumerate(_KINDS):
        share = _shares(histogram.counts[row, kind], histogram.totals[row, kind])
        axes.stairs(share, histogram.edges, fill=True, color=colour, alpha=0.35)
        mean = histogram.means[row, kind]
        axes.stairs(share, histogram.edges, color=colour, linewidth=1.6,
                    label=f'{name}, ' + ('no pairs' if np.isnan(mean) else f'mean {mean:.2f}'))
    axes.set_xlim(histogram.edges[0], histogram.edges[-1])
    # Room for the legend above the bars; a handful of pairs should not look like many.
    axes.set_ylim(0, 1.4 * max(axes.dataLim.ymax, 0.5))
    axes.legend(loc='upper left', frameon=False, fontsize=10)
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:g} %')
    _lighten(axes)


def _draw_bar(axes: Axes, histogram: PairHistogram, row: int) -> None:
    """Draw how many pairs have no common neighbour."""
    for kind, (colour, _) in enumerate(_KINDS):
        share = float(_shares(histogram.at_one[row, kind], histogram.totals[row, kind]))
        axes.bar(kind, share, color=colour, alpha=0.5, edgecolor=colour, linewidth=1.6)
        axes.annotate(f'{share:.0f} %' if share >= 0.5 or not share else '< 1 %', (kind, share),
                      (0, 2), textcoords='offset points', ha='center', color=colour, fontsize=9.5)
    axes.set(xlim=(-0.7, 1.7), ylim=(0, 118), xticks=[], yticks=[])
    axes.set_title('exactly 1', fontsize=10.5, color=INK)
    axes.set_xlabel('no common\nneighbour', fontsize=9, color=FAINT)
    _lighten(axes)


def _draw_eps(axes: Axes, eps: float) -> None:
    """Mark DBSCAN's radius."""
    axes.axvline(eps, ymax=0.72, color=INK, linestyle=':', linewidth=1.3)
    axes.annotate(f'eps {eps:g}', (eps, 0.72), (3, -2), xycoords=('data', 'axes fraction'),
                  textcoords='offset points', va='top', color=INK, fontsize=9)


def _lighten(axes: Axes) -> None:
    """Leave out what carries no information."""
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(colors=FAINT, labelsize=9)
