#!/usr/bin/env python
"""Compare a dataset's folder with what it should hold, and name what differs.

Examples:
    python tools/misc/check_dataset.py data/SYSU-MM01 --dataset sysu
    python tools/misc/check_dataset.py data/synthetic --dataset sysu --layout-only

Exit code 0 means that nothing differs, 1 that something does.
"""

import argparse
import sys
from collections import Counter

from mmvireid.cli import not_negative, one_sentence_errors, shell_path, tool_parser
from mmvireid.datasets import check_dataset


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument('root', type=shell_path, help='folder of the dataset')
    parser.add_argument('--dataset', required=True, choices=['sysu', 'regdb', 'llcm'])
    parser.add_argument(
        '--layout-only',
        action='store_true',
        help='check folders, names and index files but not the official numbers of images '
        '(subsets, synthetic data)')
    parser.add_argument(
        '--max-lines', type=not_negative, default=50, metavar='N',
        help='differences to print; 0: all')
    return parser.parse_args()


def main() -> int:
    """Check one folder."""
    args = parse_args()
    findings = check_dataset(args.root, args.dataset, layout_only=args.layout_only)
    shown = findings[:args.max_lines] if args.max_lines > 0 else findings
    for finding in shown:
        print(finding)
    if len(findings) > len(shown):
        print(f'... and {len(findings) - len(shown)} more (--max-lines 0 prints all)')
    if not findings:
        what = 'layout' if args.layout_only else 'layout and official counts'
        print(f'{args.root}: {what} of {args.dataset} are as expected')
        return 0
    kinds = Counter(finding.kind for finding in findings)
    summary = ', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items()))
    print(f'{args.root}: {len(findings)} differences ({summary})')
    return 1


if __name__ == '__main__':
    with one_sentence_errors():
        sys.exit(main())
