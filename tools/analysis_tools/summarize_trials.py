#!/usr/bin/env python
"""Put the results of several methods into one table, as text, Markdown or LaTeX.

A result is a file that tools/test.py --out wrote (± is over its random galleries), or the
folder of tools/run_trials.py with its summary.json (± is over trained models).

Examples:
    python tools/analysis_tools/summarize_trials.py agw/results.json cift/results.json
    python tools/analysis_tools/summarize_trials.py work_dirs/cift_r50_120e_regdb_trials \
        --names CIFT --metrics R1 R10 mAP --format latex --out table.tex
"""

import argparse
import json
from pathlib import Path

from mmvireid.cli import add_out, one_sentence_errors, shell_path, tool_parser
from mmvireid.evaluation import format_table
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically

#: setting -> row -> metric -> value
Tables = dict[str, dict[str, dict[str, float]]]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        'results', type=shell_path, nargs='+', help='results.json, summary.json, or their folder')
    parser.add_argument('--names', nargs='+', help='name of each result; by default its folder')
    parser.add_argument('--settings', nargs='+', help='which settings, for example all_single')
    parser.add_argument('--rankings', nargs='+', help='which rankings; by default all')
    parser.add_argument('--metrics', nargs='+', help='which columns, for example R1 R10 mAP')
    parser.add_argument('--format', choices=('text', 'markdown', 'latex'), default='text')
    add_out(parser, 'write the tables here too')
    return parser.parse_args()


def find_file(path: Path) -> Path:
    """Find the file with the numbers of one result."""
    candidates = [path / 'summary.json', path / 'results.json'] if path.is_dir() else [path]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ConfigError(
        f'"{path}" holds no results: give a file of tools/test.py --out, or a folder of '
        'tools/run_trials.py whose trials are complete.')


def read_result(path: Path) -> tuple[Tables, str]:
    """Read one result: its numbers, and what ± is over."""
    file = find_file(path)
    try:
        document = json.loads(file.read_text(encoding='utf-8'))
        if isinstance(document, dict):
            return document['summary'], f'{len(document["trials"])} trained models'
        tables: Tables = {}
        for entry in document:
            rows = tables.setdefault(f'{entry["dataset"]} {entry["setting"]}', {})
            rows[entry['ranking']] = entry['summary']
        galleries = max(len(entry['trials']) for entry in document)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f'"{file}" is not what tools/test.py --out or tools/run_trials.py writes: '
            f'{type(error).__name__} {error}.') from error
    return tables, f'{galleries} random galleries of one model' if galleries > 1 else ''


def name_results(paths: list[Path], names: list[str] | None) -> list[str]:
    """Name each result: by what was asked, or by the first folder that tells them apart."""
    if names:
        if len(names) != len(paths):
            raise ConfigError(f'{len(paths)} results need {len(paths)} names, not {len(names)}.')
        return names
    folders = [find_file(path).resolve().parent for path in paths]
    for depth in range(1, max(len(folder.parts) for folder in folders)):
        found = ['/'.join(folder.parts[-depth:]) for folder in folders]
        if len(set(found)) == len(found):
            return found
    return [f'{folder.name} {i + 1}' for i, folder in enumerate(folders)]


def merge(results: dict[str, Tables], args: argparse.Namespace) -> Tables:
    """Collect the rows of all results by setting; one ranking needs no name of its own."""
    merged: Tables = {}
    for name, tables in results.items():
        for setting, rows in tables.items():
            if args.settings and setting.split()[-1] not in args.settings:
                continue
            kept = {r: row for r, row in rows.items() if r in (args.rankings or rows)}
            for ranking, row in kept.items():
                label = name if len(kept) == 1 else f'{name}, {ranking}'
                merged.setdefault(setting, {})[label] = choose(row, args.metrics)
    if not merged:
        raise ConfigError('no result has the settings and rankings that were asked for.')
    return merged


def choose(row: dict[str, float], metrics: list[str] | None) -> dict[str, float]:
    """Keep some metrics of a row, in the order asked for."""
    for name in metrics or ():
        if name not in row:
            known = ', '.join(key for key in row if not key.endswith('_std'))
            raise ConfigError(f'there is no metric "{name}"; the results have {known}.')
    wanted = metrics or [key for key in row if not key.endswith('_std')]
    return {key: row[key] for name in wanted for key in (name, f'{name}_std') if key in row}


def format_latex(rows: dict[str, dict[str, float]]) -> str:
    """Lay out a table for LaTeX with booktabs, the best of each column in bold."""
    columns = [key for key in next(iter(rows.values())) if not key.endswith('_std')]
    best = {key: max(round(row[key], 2) for row in rows.values()) for key in columns}
    heads = [f'Rank-{key[1:]}' if key[0] == 'R' and key[1:].isdigit() else key for key in columns]
    lines = [
        rf'\begin{{tabular}}{{l{"r" * len(columns)}}}', r'\toprule',
        ' & '.join(['', *heads]) + r' \\', r'\midrule'
    ]
    for name, row in rows.items():
        cells = [''.join(rf'\{c}' if c in '_&%#$' else c for c in name)]
        for key in columns:
            value = f'{row[key]:.2f}'
            if len(rows) > 1 and round(row[key], 2) == best[key]:
                value = rf'\mathbf{{{value}}}'
            spread = row.get(f'{key}_std')
            cells.append(f'${value}$' if spread is None else rf'${value} \pm {spread:.2f}$')
        lines.append(' & '.join(cells) + r' \\')
    return '\n'.join([*lines, r'\bottomrule', r'\end{tabular}'])


def write(tables: Tables, spread: dict[str, str], style: str) -> str:
    """Write all tables, and what ± is over."""
    comment = '% ' if style == 'latex' else ''
    parts = []
    for setting, rows in tables.items():
        # A table says nothing of results that are not in it.
        said = '; '.join(
            f'{name} over {over}' for name, over in spread.items() if over and any(
                label == name or label.startswith(f'{name}, ') for label in rows))
        body = format_latex(rows) if style == 'latex' else format_table(
            rows, markdown=style == 'markdown')
        note = f'\n\n{comment}± of {said}.' if said else ''
        parts.append(f'{comment}{setting}, %\n\n{body}{note}')
    return '\n\n'.join(parts)


def main() -> None:
    """Read all results and print the tables."""
    args = parse_args()
    with one_sentence_errors():
        paths = [Path(path) for path in args.results]
        names = name_results(paths, args.names)
        results, spread = {}, {}
        for name, path in zip(names, paths):
            results[name], spread[name] = read_result(path)
        text = write(merge(results, args), spread, args.format)
        print(text)
        if args.out:
            write_atomically(f'{text}\n'.encode(), args.out)


if __name__ == '__main__':
    main()
