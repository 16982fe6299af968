#!/usr/bin/env python
"""Compare two tests query by query: which queries became better, which worse.

Each test writes its queries with tools/test.py --dump-queries. Queries are matched by the
path of their image; over several galleries each query counts with its mean.

Examples:
    python tools/test.py CONFIG_A CHECKPOINT_A --dump-queries a.json
    python tools/test.py CONFIG_B CHECKPOINT_B --dump-queries b.json
    python tools/analysis_tools/compare_runs.py a.json b.json --ranking base cift --csv diff.csv
"""

import argparse
import csv
import io
import os
from dataclasses import dataclass

import numpy as np

from mmvireid.cli import not_negative, one_sentence_errors, shell_path, tool_parser
from mmvireid.evaluation.query_file import read_query_file
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically

#: Draws of the bootstrap.
DRAWS = 2000


@dataclass
class Queries:
    """What one test says of each query, rows in the order of the paths.

    Args:
        path: N paths, without the folders that all share.
        identity: shape ``(N,)``.
        camera: shape ``(N,)``.
        precision: shape ``(N,)``, AP in percent, mean over galleries, NaN without a match.
        first: shape ``(N,)``, percent of the galleries in which rank 1 is right.
        rank: shape ``(N,)``, median rank of the first match.
    """

    path: list[str]
    identity: np.ndarray
    camera: np.ndarray
    precision: np.ndarray
    first: np.ndarray
    rank: np.ndarray


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument('before', type=shell_path, help='queries of the first test')
    parser.add_argument(
        'after', type=shell_path, help='queries of the second test; may be the same file')
    parser.add_argument('--setting', help='which setting; by default the first that both have')
    parser.add_argument(
        '--ranking', nargs='+', metavar='NAME',
        help='which ranking, or one of the first and one of the second test')
    parser.add_argument(
        '--top', type=not_negative, default=10, help='queries to list of each kind')
    parser.add_argument('--csv', type=shell_path, metavar='FILE', help='write every query here')
    return parser.parse_args()


def select(document: dict, file: str, setting: str, ranking: str) -> Queries:
    """Average one setting and ranking of a test over its galleries."""
    chosen = [r for r in document['results'] if (r['setting'], r['ranking']) == (setting, ranking)]
    if not chosen:
        known = sorted({f'{r["setting"]}/{r["ranking"]}' for r in document['results']})
        raise ConfigError(f'"{file}" has no {setting}/{ranking}; it has {", ".join(known)}.')
    rows = np.unique(np.concatenate([r['query'] for r in chosen]))
    shape = len(chosen), len(rows)
    precision, rank = np.full(shape, np.nan), np.full(shape, np.nan)
    for trial, result in enumerate(chosen):
        place = np.searchsorted(rows, result['query'])
        precision[trial, place] = [
            np.nan if value is None else value for value in result['average_precision']
        ]
        found = np.array(result['first_match_rank'], dtype=float)
        rank[trial, place] = np.where(found > 0, found, np.nan)
    matched = ~np.isnan(rank).all(0)
    mean, first, middle = (np.full(len(rows), np.nan) for _ in range(3))
    mean[matched] = 100 * np.nanmean(precision[:, matched], 0)
    middle[matched] = np.nanmedian(rank[:, matched], 0)
    seen = np.maximum((~np.isnan(rank)).sum(0), 1)
    first[matched] = (100 * (rank == 1).sum(0) / seen)[matched]
    images = document['images']
    paths = [images['path'][row].replace('\\', '/') for row in rows]
    shared = len(os.path.commonpath(paths)) + 1 if len(paths) > 1 else 0
    return Queries([path[shared:] for path in paths], np.array(images['identity'])[rows],
                   np.array(images['camera'])[rows], mean, first, middle)


def pair(before: Queries, after: Queries) -> tuple[Queries, Queries]:
    """Keep the queries that have a match in both tests, in the same order."""
    numbers = {path: i for i, path in enumerate(after.path)}
    pairs = np.array([(i, numbers[path]) for i, path in enumerate(before.path) if path in numbers])
    if len(pairs):
        kept = ~np.isnan(before.precision[pairs[:, 0]]) & ~np.isnan(after.precision[pairs[:, 1]])
        pairs = pairs[kept]
    if not len(pairs):
        raise ConfigError(
            'the two tests have no query in common; their images are, for example, '
            f'"{before.path[0]}" and "{after.path[0]}".')
    return tuple(
        Queries([one.path[i] for i in rows], *(getattr(one, name)[rows] for name in (
            'identity', 'camera', 'precision', 'first', 'rank')))
        for one, rows in ((before, pairs[:, 0]), (after, pairs[:, 1])))


def interval(difference: np.ndarray, identity: np.ndarray) -> tuple[float, float]:
    """Give a 95 % interval of the mean difference.

    People are drawn, not queries: images of one person are not independent.
    """
    _, person = np.unique(identity, return_inverse=True)
    count = np.bincount(person)
    total = np.bincount(person, weights=difference)
    drawn = np.random.default_rng(0).integers(0, len(count), (DRAWS, len(count)))
    means = total[drawn].sum(1) / count[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def describe(before: Queries, after: Queries, top: int) -> str:
    """Write the comparison for a person."""
    lines = [f'{len(before.path)} queries of {len(np.unique(before.identity))} people']
    for name, old, new in (('Rank-1', before.first, after.first),
                           ('mAP', before.precision, after.precision)):
        low, high = interval(new - old, before.identity)
        lines.append(f'{name:7} {old.mean():6.2f} -> {new.mean():6.2f} %   difference '
                     f'{(new - old).mean():+.2f}, 95 % interval {low:+.2f} to {high:+.2f}')
    change = after.precision - before.precision
    lines += [
        f'average precision: {(change > 0.01).sum()} queries better, {(change < -0.01).sum()} '
        f'worse, {(abs(change) <= 0.01).sum()} equal',
        'queries whose first image became '
        f'right: {((before.first < 50) & (after.first >= 50)).sum()}, '
        f'wrong: {((before.first >= 50) & (after.first < 50)).sum()}'
    ]
    if len(np.unique(before.camera)) > 1:
        lines.append('')
        for camera in np.unique(before.camera):
            here = before.camera == camera
            lines.append(f'camera {camera}: mAP {before.precision[here].mean():6.2f} -> '
                         f'{after.precision[here].mean():6.2f} %, {here.sum()} queries')
    order = np.argsort(change, kind='stable')
    for title, rows in (('became worse', order[:top]), ('became better', order[::-1][:top])):
        sign = -1 if title == 'became worse' else 1
        rows = [row for row in rows if sign * change[row] > 0.01]
        if rows:
            width = max(len(before.path[row]) for row in rows)
            lines += ['', f'{title}:']
            lines += [
                f'  {before.path[row]:{width}}  identity {before.identity[row]}  '
                f'AP {before.precision[row]:5.1f} -> {after.precision[row]:5.1f}  '
                f'first match at {before.rank[row]:g} -> {after.rank[row]:g}' for row in rows
            ]
    return '\n'.join(lines)


def write_csv(before: Queries, after: Queries, path: str) -> None:
    """Write every query, the largest loss first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['path', 'identity', 'camera', 'ap_before', 'ap_after', 'difference',
                     'first_match_before', 'first_match_after'])
    for i in np.argsort(after.precision - before.precision, kind='stable'):
        old, new = before.precision[i], after.precision[i]
        writer.writerow([before.path[i], before.identity[i], before.camera[i], f'{old:.3f}',
                         f'{new:.3f}', f'{new - old:.3f}', f'{before.rank[i]:g}',
                         f'{after.rank[i]:g}'])
    write_atomically(text.getvalue().encode(), path)


def main() -> None:
    """Compare."""
    args = parse_args()
    with one_sentence_errors():
        documents = [read_query_file(path) for path in (args.before, args.after)]
        settings = [[r['setting'] for r in document['results']] for document in documents]
        setting = args.setting or next((s for s in settings[0] if s in settings[1]), None)
        if setting is None:
            raise ConfigError('the two tests have no setting in common.')
        rankings = args.ranking or [
            next(r['ranking'] for r in document['results'] if r['setting'] == setting)
            for document in documents
        ]
        if len(rankings) > 2:
            raise ConfigError('--ranking takes one name, or one for each of the two tests.')
        rankings = [rankings[0], rankings[-1]]
        before, after = pair(
            select(documents[0], args.before, setting, rankings[0]),
            select(documents[1], args.after, setting, rankings[1]))
        print(f'{setting}: {args.before} ({rankings[0]}) -> {args.after} ({rankings[1]})')
        print(describe(before, after, args.top))
        if args.csv:
            write_csv(before, after, args.csv)


if __name__ == '__main__':
    main()
