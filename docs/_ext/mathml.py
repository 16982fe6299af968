"""Formulas as MathML, which browsers show by themselves: no script from elsewhere is loaded."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line.

    Args:
        writer: of the page.
        node: the formula.

    Raises:
        SkipNode: always, since the formula is written.
    """
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own.

    Args:
        writer: of the page.
        node: the formula.

    Raises:
        SkipNode: always, since the formula is written.
    """
    formula = convert(node.astext(), display='block')
    writer.body.append(f'<div class="math">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Hook into Sphinx.

    Args:
        app: the application.

    Returns:
        What Sphinx has to know.
    """
    app.add_html_math_renderer('mathml', (inline, None), (block, None))
    return dict(parallel_read_safe=True, parallel_write_safe=True)
