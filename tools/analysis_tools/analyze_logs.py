#!/usr/bin/env python
"""Draw curves from training logs, or tell how long training took.

A log is a work directory (its logs are joined, also those of a run that was resumed), or one
vis_data/scalars.json of it; the work directory of a chain of stages stands for its last one.

Examples:
    python tools/analysis_tools/analyze_logs.py plot_curve work_dirs/a work_dirs/b \
        --keys loss mAP --legend AGW CIFT --out curves.png
    python tools/analysis_tools/analyze_logs.py cal_train_time work_dirs/a
"""

import argparse
import io
from pathlib import Path

import numpy as np

from mmvireid.checkpoints import last_stage_dir
from mmvireid.cli import add_out, one_sentence_errors, shell_path, tool_parser
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.records import read_record_lines

#: Values of a row that say where it is, not what was measured.
PLACES = {'epoch', 'iter', 'step'}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    tasks = parser.add_subparsers(dest='task', required=True)
    curve = tasks.add_parser('plot_curve', help='draw values over training')
    curve.add_argument(
        '--keys', nargs='+', default=['loss', 'mAP'],
        help='what to draw: a name, or the end of one, as mAP or base/R1')
    curve.add_argument('--legend', nargs='+', help='name of each log; by default its folder')
    curve.add_argument('--title', help='line above the picture')
    add_out(curve, 'picture or PDF', default='curves.png')
    time = tasks.add_parser('cal_train_time', help='seconds of an iteration and of the whole')
    for task in (curve, time):
        task.add_argument(
            'logs', type=shell_path, nargs='+', help='work directories, or scalars.json files')
    return parser.parse_args()


def read_log(path: Path) -> list[dict]:
    """Read the rows of a run, in order.

    A resumed run has several logs; where the later one begins, the rest of the earlier one
    was done again and does not count.
    """
    files = ([path] if path.is_file() else
             sorted(last_stage_dir(path).glob('*/vis_data/scalars.json')))
    rows: dict[bool, list[dict]] = {True: [], False: []}
    for file in files:
        found = read_record_lines(file)
        for training in rows:
            new = [row for row in found if ('lr' in row) == training and 'step' in row]
            if new:
                first = new[0]['step']
                rows[training] = [row for row in rows[training] if row['step'] < first] + new
    if not rows[True] and not rows[False]:
        raise ConfigError(f'"{path}" holds no log of a training (*/vis_data/scalars.json).')
    return rows[True] + rows[False]


def find_curves(rows: list[dict], key: str) -> dict[str, tuple[list, list, str]]:
    """Find the values of a key: name -> positions, values, what the positions count."""
    curves: dict[str, tuple[list, list, str]] = {}
    for row in rows:
        training = 'lr' in row
        for name, value in row.items():
            if name not in PLACES and (name == key or name.endswith(f'/{key}')):
                x, y, _ = curves.setdefault(
                    name, ([], [], 'iteration' if training else 'epoch'))
                x.append(row['step'])
                y.append(value)
    return curves


def plot_curves(args: argparse.Namespace) -> None:
    """Draw one panel a key."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot

    logs = [read_log(Path(path)) for path in args.logs]
    names = args.legend or [Path(path).name for path in args.logs]
    if len(names) != len(logs):
        raise ConfigError(f'{len(logs)} logs need {len(logs)} names, not {len(names)}.')
    figure, panels = pyplot.subplots(
        1, len(args.keys), figsize=(6 * len(args.keys), 4), squeeze=False, layout='constrained')
    for key, panel in zip(args.keys, panels[0]):
        drawn = 0
        for name, rows in zip(names, logs):
            curves = find_curves(rows, key)
            for full, (x, y, unit) in curves.items():
                label = name if len(curves) == 1 else f'{name}, {full}'
                panel.plot(x, y, label=label, marker='.' if len(x) < 40 else None)
                panel.set_xlabel(unit)
                panel.xaxis.get_major_locator().set_params(integer=True)  # no epoch 3.5
                drawn += 1
        if not drawn:
            known = sorted({name for rows in logs for row in rows for name in row} - PLACES)
            raise ConfigError(f'no log has "{key}"; they have {", ".join(known)}.')
        panel.set_title(key)
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize='small')
    if args.title:
        figure.suptitle(args.title)
    buffer, kind = io.BytesIO(), Path(args.out).suffix[1:]
    if kind not in figure.canvas.get_supported_filetypes():
        raise ConfigError(f'"{args.out}" should end in .png, .pdf or .svg.')
    figure.savefig(buffer, dpi=120, format=kind)
    write_atomically(buffer.getvalue(), args.out)
    pyplot.close(figure)
    print(f'saved: {Path(args.out).resolve()}')


def tell_times(args: argparse.Namespace) -> None:
    """Print seconds of an iteration, epoch by epoch."""
    for path in args.logs:
        rows = [row for row in read_log(Path(path)) if 'time' in row and 'lr' in row]
        if not rows:
            raise ConfigError(f'"{path}" has no times of training iterations.')
        epochs = np.array([row.get('epoch', 1) for row in rows])
        seconds, waiting = (np.array([row.get(key, 0.0) for row in rows])
                            for key in ('time', 'data_time'))
        means = {int(epoch): seconds[epochs == epoch].mean() for epoch in np.unique(epochs)}
        slowest, fastest = max(means, key=means.get), min(means, key=means.get)
        steps = max(row['step'] for row in rows)
        total = seconds.mean() * steps
        spent = next(f'{total / size:.{digits}f} {unit}' for size, digits, unit in (
            (3600, 2, 'h'), (60, 1, 'min'), (1, 0, 's')) if total >= 2 * size or unit == 's')
        print(f'{path}\n'
              f'  slowest epoch {slowest}: {means[slowest]:.4f} s an iteration\n'
              f'  fastest epoch {fastest}: {means[fastest]:.4f} s an iteration\n'
              f'  mean {seconds.mean():.4f} s an iteration, of them {waiting.mean():.4f} s '
              f'waiting for data\n'
              f'  {steps} iterations: {spent} of training')


def main() -> None:
    """Do what was asked."""
    args = parse_args()
    with one_sentence_errors():
        plot_curves(args) if args.task == 'plot_curve' else tell_times(args)


if __name__ == '__main__':
    main()
