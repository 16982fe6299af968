"""Paths as a shell would read them."""

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
