"""Numbers for the reader: mean and std over trials, as a table."""

import re
from collections.abc import Mapping, Sequence

import numpy as np


def summarize(trials: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average metrics over trials.

    Args:
        trials: one dict of metrics a trial, all with the same names.

    Returns:
        For each metric its mean and, of several trials, under ``<name>_std`` the
        population standard deviation.

    Examples:
        >>> from mmvireid.evaluation import summarize
        >>> summarize([dict(R1=50.0, mAP=40.0), dict(R1=54.0, mAP=40.0)])
        {'R1': 52.0, 'mAP': 40.0, 'R1_std': 2.0, 'mAP_std': 0.0}
    """
    names = list(trials[0])
    values = np.array([[trial[name] for name in names] for trial in trials])
    summary = dict(zip(names, values.mean(0).tolist()))
    if len(trials) > 1:
        summary.update(zip((f'{name}_std' for name in names), values.std(0).tolist()))
    return summary


def format_table(rows: Mapping[str, Mapping[str, float]], markdown: bool = False) -> str:
    """Lay out metrics as text, one row a method.

    Args:
        rows: row name -> metrics, as :func:`summarize` gives them; whole numbers are counts.
        markdown: write a Markdown table instead of aligned columns.

    Returns:
        The table, without a final line break.

    Examples:
        >>> from mmvireid.evaluation import format_table
        >>> print(format_table(dict(base=dict(R1=52.0, R1_std=2.0, mAP=40.0))))
                    Rank-1    mAP
        base  52.00 ± 2.00  40.00
    """
    columns = [name for name in next(iter(rows.values())) if not name.endswith('_std')]
    table = [['', *(re.sub(r'^R(?=\d)', 'Rank-', column) for column in columns)]]
    for name, metrics in rows.items():
        cells = [name]
        for column in columns:
            value = metrics[column]
            cell = str(value) if isinstance(value, int) else f'{value:.2f}'
            if f'{column}_std' in metrics:
                cell += f' ± {metrics[f"{column}_std"]:.2f}'
            cells.append(cell)
        table.append(cells)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        '  '.join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))) for row in table
    ]
    if not markdown:
        return '\n'.join(line.rstrip() for line in lines)
    cells = [
        '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |'
        for row in table
    ]
    rule = '|' + '|'.join('-' * (w + 1) + (':' if i else '-') for i, w in enumerate(widths)) + '|'
    return '\n'.join([cells[0], rule, *cells[1:]])
