"""Write a synthetic dataset in the layout of SYSU-MM01, RegDB or LLCM.

    python tools/dataset_converters/make_synthetic.py --layout sysu --ids 100 \
        --out data/synthetic_sysu --seed 0

The pictures are a stand-in for trying and testing, not evidence about real data.
"""

import argparse
import os
import sys
from dataclasses import fields

import cv2

from mmvireid.cli import shell_path
from mmvireid.datasets.synthetic import (
    LAYOUTS,
    Difficulty,
    Request,
    contact_sheet,
    make_synthetic,
)
from mmvireid.utils.files import write_atomically
from mmvireid.utils.interrupts import remembered_interrupts


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write synthetic pedestrians in the layout of a public dataset: '
        'a stand-in for trying and testing, not evidence about real data.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--layout', required=True, choices=sorted(LAYOUTS), help='folder layout')
    parser.add_argument('--ids', type=int, required=True, help='people, test people included')
    parser.add_argument('--out', type=shell_path, required=True, help='folder of the dataset')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same pictures')
    parser.add_argument('--test-ids', type=int,
                        help="test people; unset: the real dataset's share")
    parser.add_argument('--images-per-camera', type=int,
                        help="pictures per person and camera; unset: the real dataset's number")
    parser.add_argument('--size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help="size in pixels; unset: the real dataset's")
    parser.add_argument('--sheet', type=shell_path, metavar='FILE',
                        help='also write a picture of ten people before six cameras')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes')
    parser.add_argument('--quiet', action='store_true', help='show no progress')
    group = parser.add_argument_group(
        'difficulty', 'strengths of what shows and what hides a person; see '
        'mmvireid.datasets.synthetic.Difficulty')
    for field in fields(Difficulty):
        group.add_argument('--' + field.name.replace('_', '-'), type=float,
                           default=field.default, help=' ')
    return parser.parse_args()


def write_sheet(request: Request, path: str) -> None:
    """Write the contact sheet of a request's first people."""
    sheet = contact_sheet(request.world(), range(1, min(request.ids, 10) + 1))
    _, content = cv2.imencode(os.path.splitext(path)[1] or '.png', sheet[..., ::-1])
    write_atomically(content.tobytes(), path)


def main() -> None:
    """Write the dataset and say where it is."""
    args = parse_args()
    try:
        with remembered_interrupts():
            difficulty = Difficulty(**{f.name: getattr(args, f.name) for f in fields(Difficulty)})
            request = Request(
                args.layout, args.ids, args.test_ids, args.images_per_camera,
                tuple(args.size) if args.size else None, args.seed, difficulty)
            report = make_synthetic(request, args.out, args.workers, args.quiet)
            if args.sheet:
                write_sheet(request, args.sheet)
    except (ValueError, OSError) as error:
        sys.exit(f'make_synthetic: {error}')
    except KeyboardInterrupt:
        sys.exit('make_synthetic: stopped; run the same command again to finish.')
    state = 'already complete' if report.skipped else 'written'
    print(f'{report.num_images} images {state}: {report.out}')


if __name__ == '__main__':
    main()
