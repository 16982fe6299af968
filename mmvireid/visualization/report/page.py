"""Data and thumbnails as one HTML page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mmvireid.version import __version__

from .thumbnails import encode_thumbnails

_FOLDER = Path(__file__).parent / 'page'


def render_report(data: Mapping[str, Any],
                  paths: Sequence[str],
                  *,
                  title: str,
                  notes: Sequence[str] = (),
                  max_bytes: int = 20_000_000) -> str:
    """Write the page.

    Style, program, data and pictures are inside: the page asks nothing of a network.

    Args:
        data: as :func:`collect_report` gives it.
        paths: of the images, as :func:`collect_report` gives them.
        title: what was tested.
        notes: short lines below the title, such as the checkpoint and the date.
        max_bytes: the page is smaller than this; thumbnails shrink to what is left.

    Returns:
        HTML.

    Raises:
        EvaluationError: if the pictures do not fit, or a file is no image.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True)
    template = environment.get_template('report.html')
    words = dict(
        title=title, notes=list(notes), version=__version__, data=_script(data),
        style=Markup((_FOLDER / 'report.css').read_text(encoding='utf-8')),
        programs=[Markup((_FOLDER / f'{name}.js').read_text(encoding='utf-8'))
                  for name in ('base', 'charts', 'summary', 'queries', 'more')])
    without = len(template.render(words, thumbnails='').encode())
    # A little is left for the frame around the pictures.
    pictures = encode_thumbnails(paths, max_bytes - without - 1000)
    return template.render(words, thumbnails=_script(dict(
        mime=pictures.mime, width=pictures.width, height=pictures.height,
        images=pictures.images)))


def _script(value: Any) -> Markup:
    """Write JSON so that nothing in it can end the script element that holds it."""
    text = json.dumps(value, separators=(',', ':'), allow_nan=False, ensure_ascii=False)
    return Markup(text.replace('<', '\\u003c').replace('\u2028', '\\u2028')
                  .replace('\u2029', '\\u2029'))
