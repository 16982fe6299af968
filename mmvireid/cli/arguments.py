"""Arguments that several command lines share: one spelling, one meaning, one help text."""

import argparse
from typing import Any

from mmvireid.utils.errors import ConfigError
from mmvireid.utils.paths import expand_path

from .config_options import ConfigOptions


def tool_parser(description: str) -> argparse.ArgumentParser:
    """Make the parser of a tool.

    Args:
        description: docstring of the tool, printed as it is by ``--help``.

    Examples:
        >>> from mmvireid.cli import add_config, add_config_options, tool_parser
        >>> parser = tool_parser('Print the learning rate of a config.')
        >>> add_config(parser)
        >>> add_config_options(parser)
        >>> args = parser.parse_args(['my.py', '--cfg-options', 'optim_wrapper.optimizer.lr=1e-3'])
        >>> args.config, args.cfg_options
        ('my.py', {'optim_wrapper.optimizer.lr': 0.001})
    """
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_config(parser: argparse.ArgumentParser, text: str = 'config file',
               **options: Any) -> None:
    """Add the config, as the next word of the command line.

    Args:
        parser: of the command line.
        text: help.
        **options: of ``add_argument``, for example ``nargs='+'``.
    """
    parser.add_argument('config', type=shell_path, help=text, **options)


def add_checkpoint(parser: argparse.ArgumentParser, text: str = 'checkpoint file',
                   **options: Any) -> None:
    """Add the checkpoint, as the next word of the command line.

    Args:
        parser: of the command line.
        text: help.
        **options: of ``add_argument``, for example ``nargs='?'``.
    """
    parser.add_argument('checkpoint', type=shell_path, help=text, **options)


def add_config_options(parser: argparse.ArgumentParser,
                       text: str = 'as in tools/train.py') -> None:
    """Add ``--cfg-options``, see :class:`ConfigOptions`.

    Args:
        parser: of the command line.
        text: help.
    """
    parser.add_argument('--cfg-options', action=ConfigOptions, help=text)
    parser.set_defaults(cfg_option_words=[])


def add_work_dir(parser: argparse.ArgumentParser,
                 text: str = 'folder for logs, checkpoints and results',
                 default: str | None = None) -> None:
    """Add ``--work-dir``.

    Args:
        parser: of the command line.
        text: help.
        default: folder without the option; None for the config's own.
    """
    parser.add_argument('--work-dir', type=shell_path, metavar='DIR', default=default, help=text)


def add_out(parser: argparse.ArgumentParser, text: str, metavar: str = 'FILE',
            **options: Any) -> None:
    """Add ``--out``.

    Args:
        parser: of the command line.
        text: help.
        metavar: what to name, ``FILE`` or ``DIR``, perhaps with an ending.
        **options: of ``add_argument``, for example ``required=True``.
    """
    parser.add_argument('--out', type=shell_path, metavar=metavar, help=text, **options)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share.

    Args:
        parser: of the command line.
    """
    add_work_dir(parser)
    add_config_options(parser, 'change the config, for example train_dataloader.num_workers=8')
    parser.add_argument(
        '--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none',
        help='how several processes were started')


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a test reports.

    Args:
        parser: of the command line.
    """
    parser.add_argument(
        '--tta', action='store_true', help='average each descriptor with its mirror image')
    parser.add_argument(
        '--protocol', nargs='+', metavar='SETTING',
        help='what to report; SYSU-MM01: all_single, all_multi, indoor_single, indoor_multi; '
        'RegDB: v2t, t2v; LLCM: v2i, i2v; a list file: v2i, i2v')


def add_show_dir(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--show-dir``.

    Args:
        parser: of the command line.
        text: help.
    """
    parser.add_argument('--show-dir', type=shell_path, metavar='DIR', help=text)


def add_loading_arguments(parser: argparse.ArgumentParser, batch_size: int | None = None,
                          num_workers: int | None = None) -> None:
    """Add how images are read.

    Args:
        parser: of the command line.
        batch_size: images a batch without the option; None for the config's own.
        num_workers: processes without the option; None for the config's own.
    """
    parser.add_argument('--batch-size', type=positive, default=batch_size, help='images a batch')
    parser.add_argument(
        '--num-workers', type=not_negative, default=num_workers,
        help='processes that read images; 0: none but this one')


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``.

    Args:
        parser: of the command line.
    """
    parser.add_argument(
        '--device', help="'cpu', 'cuda' or 'cuda:1'; by default a GPU if there is one")


def add_chosen_people(parser: argparse.ArgumentParser, people: int,
                      images: int | None = None) -> None:
    """Add which people of the test set a picture shows.

    Args:
        parser: of the command line.
        people: how many without the option.
        images: how many images of each and modality; None where that is fixed.
    """
    parser.add_argument('--people', type=positive, default=people, help='people of the test set')
    if images is not None:
        parser.add_argument(
            '--images', type=positive, default=images, help='images of each and modality')
    parser.add_argument('--seed', type=int, default=0, help='decides people and images')


def shell_path(text: str) -> str:
    """Read a path, for argparse: ``~`` and environment variables mean what they do in a shell.

    Args:
        text: what was typed.

    Returns:
        The path.

    Raises:
        argparse.ArgumentTypeError: if it names a variable that is not set.
    """
    try:
        return expand_path(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def positive(text: str) -> int:
    """Read a number of things of which there must be one, for argparse.

    Args:
        text: what was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: if it is no whole number from 1.
    """
    return _whole_number(text, 1)


def not_negative(text: str) -> int:
    """Read a number of things of which there need be none, for argparse.

    Args:
        text: what was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: if it is no whole number from 0.
    """
    return _whole_number(text, 0)


def _whole_number(text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f'write a whole number from {least}, not "{text}"')
    return int(text)
