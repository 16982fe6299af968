"""Text on screens and in files, whatever the locale."""

import locale
import sys
from contextlib import suppress


def print_any_text() -> None:
    r"""Let a program print and log any character, also where the locale knows ASCII only.

    A table with ± would otherwise be lost, and its run would end with code 0. On the screen, a
    character that the terminal does not know becomes its escape (``\\xb1``); files that are opened
    without an encoding, such as the logs of MMEngine, are UTF-8.

    To be called by command lines, not by libraries: it holds for the whole process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # a notebook has streams of its own
            stream.reconfigure(errors='backslashreplace')
    if locale.getpreferredencoding(False).upper().replace('-', '') != 'UTF8':
        for name in ('C.UTF-8', 'UTF-8'):
            with suppress(locale.Error):
                locale.setlocale(locale.LC_CTYPE, name)
                break
