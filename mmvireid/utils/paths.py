"""Paths as a shell would read them, and as text."""

import os
import re

from mmvireid.utils.errors import ConfigError

_VARIABLE = re.compile(r'\$(?:\{(\w+)\}|([A-Za-z_]\w*))')


def expand_path(text: str | os.PathLike) -> str:
    """Replace ``~`` and environment variables in a path.

    A shell does so for the words of a command line, but neither behind ``--out=`` nor in a
    config, where ``~/runs`` would make a folder called ``~``. Addresses stay as they are.

    Args:
        text: a path, or an address such as ``https://...``.

    Returns:
        The path.

    Raises:
        ConfigError: if it names a variable that is not set.

    Examples:
        >>> import os
        >>> from mmvireid.utils.paths import expand_path
        >>> os.environ['STORE'] = '/mnt/store'
        >>> expand_path('$STORE/sysu,v2')
        '/mnt/store/sysu,v2'
        >>> expand_path('torchvision://resnet50')
        'torchvision://resnet50'
    """
    text = os.fspath(text)
    if '://' in text:
        return text
    expanded = os.path.expandvars(os.path.expanduser(text))
    unset = _VARIABLE.search(expanded)
    if unset and not os.path.lexists(expanded):  # a name may have a dollar in it
        raise ConfigError(
            f'"{text}" names the environment variable {unset[1] or unset[2]}, which is not set: '
            'set it with export, or write the path out.')
    return expanded


def path_as_text(path: str | os.PathLike) -> str:
    r"""Write a path so that every file and terminal takes it.

    File names are bytes, and Python carries those that are not UTF-8 in characters that no
    encoding has: to write them raises an error. Such bytes are written as ``\xff`` instead.

    Args:
        path: any path.

    Returns:
        The same where it is UTF-8.

    Examples:
        >>> from mmvireid.utils.paths import path_as_text
        >>> path_as_text('day/0001.jpg')
        'day/0001.jpg'
        >>> print(path_as_text(b'day/caf\xe9.jpg'.decode('utf-8', 'surrogateescape')))
        day/caf\xe9.jpg
    """
    encoded = os.fspath(path).encode('utf-8', 'surrogateescape')
    return encoded.decode('utf-8', 'backslashreplace')
