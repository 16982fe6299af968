"""Every public function says what it takes and gives, as its signature does."""

import importlib
import inspect
import pkgutil
import re
import types
import typing
from functools import cache

import docstring_parser
import numpy as np
import torch
from docstring_parser import DocstringStyle

import mmvireid

#: Annotations of which the shape has to be told.
ARRAYS = {torch.Tensor, np.ndarray}
SHAPE = re.compile(r'shape|``\([^`]*\)``|scalar|as in :|see :', re.IGNORECASE)


@cache
def members():
    """List (name, object, class that has it or None) of all that is public."""
    found = {}
    for info in pkgutil.walk_packages(mmvireid.__path__, 'mmvireid.'):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if name.startswith('_') or getattr(value, '__module__', None) != module.__name__:
                continue
            if inspect.isclass(value):
                found[f'{info.name}.{name}'] = value, None
                for key, member in vars(value).items():
                    member = getattr(member, '__func__', getattr(member, 'fget', member))
                    if not key.startswith('_') and inspect.isfunction(member):
                        found[f'{info.name}.{name}.{key}'] = member, value
            elif inspect.isfunction(value := inspect.unwrap(value)):
                found[f'{info.name}.{name}'] = value, None
    return [(name, *pair) for name, pair in sorted(found.items())]


def signature_of(member):
    """Give name -> parameter, and what is returned, or None where nobody calls it."""
    if inspect.isclass(member):
        if getattr(member, '_is_protocol', False) or not (
                '__init__' in vars(member) or hasattr(member, '__dataclass_fields__')):
            return None
        member = member.__init__
    signature = inspect.signature(member)
    parameters = dict(signature.parameters)
    for name in ('self', 'cls'):
        parameters.pop(name, None)
    return parameters, signature.return_annotation


def documented(member):
    """Give the parsed docstring, and name -> text of its arguments."""
    parsed = docstring_parser.parse(member.__doc__ or '', DocstringStyle.GOOGLE)
    # The fields of a value object stand under either heading.
    arguments = {entry.arg_name.lstrip('*'): entry.description or ''
                 for entry in parsed.params if entry.args[0] in ('param', 'attribute')}
    return parsed, arguments


def overrides(member, owner):
    """Tell whether a method keeps the contract of a base class, which documents it."""
    return owner is not None and any(
        member.__name__ in vars(base) for base in owner.__mro__[1:])


def is_array(annotation):
    """Tell whether an annotation is an array, perhaps an optional one."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return bool(ARRAYS & set(typing.get_args(annotation)))
    return annotation in ARRAYS


def problems(member, owner=None):
    """List what the docstring of a class or function lacks."""
    if not (member.__doc__ or '').strip():
        return ['has no docstring']
    if (signature := signature_of(member)) is None:
        return []
    parameters, returned = signature
    parsed, arguments = documented(member)
    found = []
    if list(arguments) != list(parameters) and not (overrides(member, owner) and not arguments):
        found.append(f'documents {list(arguments)}, takes {list(parameters)}')
    found += [f'{name} has no type' for name, parameter in parameters.items()
              if parameter.annotation is parameter.empty]
    hints = typing.get_type_hints(member.__init__ if inspect.isclass(member) else member)
    found += [f'{name} is told without a shape' for name, text in arguments.items()
              if is_array(hints.get(name)) and not SHAPE.search(text)]
    if not inspect.isclass(member):
        if returned is inspect.Signature.empty:
            found.append('says no type of what it returns')
        if is_array(hints.get('return')) and not SHAPE.search(
                parsed.returns.description or '' if parsed.returns else member.__doc__):
            found.append('returns an array of untold shape')
    return found


def test_docstrings_tell_what_signatures_say():
    assert len(members()) > 400
    assert {name: found for name, *pair in members() if (found := problems(*pair))} == {}


def right(rows: torch.Tensor, k: int = 1, *more: str) -> torch.Tensor:
    """Do nothing.

    Args:
        rows: shape ``(N, D)``.
        k: how many.
        *more: names.

    Returns:
        Shape ``(N, k)``.
    """


def untold(rows: torch.Tensor, k: int = 1):
    """Do nothing.

    Args:
        rows: the rows.

    Returns:
        Tensor: them.
    """


def test_what_is_missing_is_noticed():
    """The check itself can fail."""
    assert problems(right) == []
    assert problems(lambda: None) == ['has no docstring']
    assert problems(untold) == [
        "documents ['rows'], takes ['rows', 'k']", 'rows is told without a shape',
        'says no type of what it returns'
    ]
    untold.__annotations__['return'] = torch.Tensor
    assert problems(untold)[-1] == 'returns an array of untold shape'
