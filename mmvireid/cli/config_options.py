"""``--cfg-options``: changes of a config as words of a command line."""

import argparse
import ast
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mmvireid.config import is_path_key


class ConfigOptions(argparse.Action):
    """Collect ``KEY=VALUE`` words, for argparse.

    The option may be given several times. Its values are a dict at its own name, by default
    ``cfg_options``, and the words themselves, for a command that hands them on to another, a
    list at ``cfg_option_words``.

    Args:
        option_strings: as argparse gives them.
        dest: name of the value.
        **kwargs: of :class:`argparse.Action`.
    """

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        kwargs.setdefault('default', {})
        super().__init__(option_strings, dest, nargs='+', metavar='KEY=VALUE', **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 values: Sequence[str], option_string: str | None = None) -> None:
        """Read the words of one occurrence."""
        options = dict(getattr(namespace, self.dest) or {})
        for word in values:
            key, equals, text = word.partition('=')
            if not equals or not all(key.split('.')):
                parser.error(f'argument {option_string}: write KEY=VALUE, not "{word}"')
            options[key] = parse_option(key, text)
        setattr(namespace, self.dest, options)
        namespace.cfg_option_words = [*getattr(namespace, 'cfg_option_words', ()), *values]


def parse_option(key: str, text: str) -> Any:
    """Read the value of one option.

    Args:
        key: dotted key of the config. What names a file or folder stays text, whatever
            characters it has.
        text: what was typed behind ``=``.

    Returns:
        The value: see :func:`parse_value`; of a path the text, or None for ``None``.

    Examples:
        >>> from mmvireid.cli.config_options import parse_option
        >>> parse_option('test_dataloader.dataset.data_root', '/x/sysu,v2')
        '/x/sysu,v2'
        >>> parse_option('optim_wrapper.optimizer.betas', '(0.9,0.99)')
        (0.9, 0.99)
    """
    if not is_path_key(key):
        return parse_value(text)
    return None if text == 'None' else _without_quotes(text)


def parse_value(text: str) -> Any:
    """Read a value: a number, True, False, None, a list, a tuple, a dict, or text.

    ``1,2`` and ``[1,2]`` are lists, ``(1,2)`` a tuple; words in them need no quotes. A dict is
    written as in a config, ``dict(type='RandomFlip')`` too. Quotes around the whole say that it
    is text.

    Args:
        text: what was typed.

    Returns:
        The value.

    Examples:
        >>> from mmvireid.cli.config_options import parse_value
        >>> parse_value('3e-4'), parse_value('true'), parse_value('None')
        (0.0003, True, None)
        >>> parse_value('[all_single, (1, 2)]')
        ['all_single', (1, 2)]
        >>> parse_value('"1,2"'), parse_value('red, green'), parse_value('lr = 1')
        ('1,2', ['red', 'green'], 'lr = 1')
    """
    text = text.strip()
    if text[:1] in ('[', '{') or text[:1] == '(' and ',' in text or text.startswith('dict('):
        # Where words in it have no quotes, it is no Python, and read below.
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return ast.literal_eval(_DictCalls().visit(ast.parse(text, mode='eval')))
    if _without_quotes(text) != text:
        return _without_quotes(text)
    bracketed = text[:1] + text[-1:] in ('()', '[]')
    parts = _split_at_commas(text[1:-1] if bracketed else text)
    if bracketed or len(parts) > 1:
        values = [parse_value(part) for part in parts]
        return tuple(values) if text[0] == '(' and bracketed else values
    for read in (int, float, {'true': True, 'false': False}.__getitem__):
        try:
            return read(text.lower())
        except (ValueError, KeyError):
            continue
    return None if text == 'None' else text


class _DictCalls(ast.NodeTransformer):
    """Writes ``dict(key=value)`` as ``{'key': value}``; nothing is called."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Put a dict in the place of its call."""
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or (
                node.args or None in names):
            return node
        return ast.Dict([ast.Constant(name) for name in names],
                        [keyword.value for keyword in node.keywords])


def _without_quotes(text: str) -> str:
    """Take the quotes around a text away, if there are any."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in '\'"'
    return text[1:-1] if quoted and text[0] not in text[1:-1] else text


def _split_at_commas(text: str) -> list[str]:
    """Split at the commas that are within no brackets, nor within quotes."""
    parts, depth, quote = [''], 0, ''
    for character in text:
        if quote:
            quote = '' if character == quote else quote
        elif character in '\'"':
            quote = character
        depth += not quote and (character in '([{') - (character in ')]}')
        if character == ',' and not quote and depth == 0:
            parts.append('')
        else:
            parts[-1] += character
    # Brackets or quotes that are open at the end are part of the text.
    parts = [text] if depth or quote else parts
    return parts[:-1] if not parts[-1].strip() else parts
