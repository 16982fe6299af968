"""JSON that runs leave behind, perhaps cut short where one was killed."""

import json
import sys
from pathlib import Path
from typing import Any

from mmvireid.utils.errors import RecordError


def read_record(path: Path) -> Any:
    """Read a JSON file.

    Args:
        path: the file.

    Raises:
        RecordError: if it is not JSON, perhaps because it was cut short.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise RecordError(
            f'"{path}" is no complete record ({error}): delete it, and do again what wrote '
            'it.') from error


def read_record_if_complete(path: Path) -> Any:
    """Read a JSON file that a run may not have finished; warn if it did not.

    Args:
        path: the file.

    Returns:
        Its content; None if there is no such file, or it is not complete.
    """
    try:
        return read_record(path) if path.is_file() else None
    except RecordError as error:
        print(f'Warning: "{path}" is not read: {error.__cause__}.', file=sys.stderr)
        return None


def read_record_lines(path: Path) -> list[dict]:
    """Read a file with a JSON object on each line; warn of those that are broken.

    Args:
        path: the file. A run that was killed may have left half a line.

    Returns:
        The objects of the complete lines, perhaps none.
    """
    rows, broken = [], []
    for number, line in enumerate(
            path.read_text(encoding='utf-8', errors='replace').splitlines(), 1):
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError:
            row = line
        if isinstance(row, dict):
            rows.append(row)
        elif row is not None:
            broken.append(number)
    if broken:
        print(f'Warning: line {", ".join(map(str, broken))} of "{path}" is not complete and not '
              'read.', file=sys.stderr)
    return rows
