"""Options that several command lines share."""

import argparse

from mmengine.config import DictAction


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share.

    Args:
        parser: of the command line.
    """
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        type=key_value,
        action=DictAction,
        metavar='KEY=VALUE',
        help='change the config, for example train_dataloader.num_workers=8')
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='how several processes were started')


def key_value(text: str) -> str:
    """Check the form of one override of the config, for argparse.

    Args:
        text: what was typed.

    Returns:
        The same text.

    Raises:
        argparse.ArgumentTypeError: if it is not ``KEY=VALUE``.
    """
    if '=' not in text.lstrip('='):
        raise argparse.ArgumentTypeError(f'write KEY=VALUE, not "{text}"')
    return text


def positive(text: str) -> int:
    """Read a number of things of which there must be one, for argparse.

    Args:
        text: what was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: if it is no whole number from 1.
    """
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'write a whole number from 1, not "{text}"')
    return int(text)
