"""One value for two parts of a config: the second refers to the first."""

import copy
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from mmengine.config import Config

from .errors import ConfigError

#: A dotted key; ``${HOME}`` is a variable of the environment.
_REFERENCE = re.compile(r'\$\{(\w+(?:\.[\w-]+)+)\}')


def merge_options(cfg: Config,
                  options: Mapping[str, Any],
                  live: Collection[str] = (),
                  default: Callable[[Any, str], Any] | None = None) -> None:
    """Merge overrides into a config, and put values in the place of references.

    A text ``'${model.head.graph}'`` stands for what the config holds under that key, so that
    two parts that must agree are set once. It is read after the overrides: who changes the key
    changes both. An override of the place itself, as ``<place>.tau_het=0.3``, comes last and
    changes that place alone. A key that the first part
    leaves to its default stands for that default.

    Args:
        cfg: the config, changed in place.
        options: dotted key -> value.
        live: names at the top of the config that are read after this; references elsewhere
            stay as they are. Nothing means all.
        default: from a part of the config and a key that it leaves out to what it then takes;
            raises KeyError if there is no such thing. None where parts are not known.

    Raises:
        ConfigError: if a reference leads nowhere, or back to itself; if an override puts a word
            or a number in the place of a part with settings.

    Examples:
        >>> from mmengine.config import Config
        >>> from mmvireid.utils.references import merge_options
        >>> cfg = Config(dict(head=dict(size=3), test=dict(size='${head.size}')))
        >>> merge_options(cfg, {'head.size': 5})
        >>> cfg.test.size
        5
    """
    places = tuple(f'{place}.' for place, *_ in _references(cfg, live))
    # MMEngine merges no dict into a text, so what is at or below a reference waits for its value.
    below = {key: value for key, value in options.items() if f'{key}.'.startswith(places)}
    for key, value in options.items():
        _check_replacement(cfg, key, value)
    cfg.merge_from_dict({key: value for key, value in options.items() if key not in below})
    for place, container, name, target in list(_references(cfg, live)):
        passed = {place}
        while target not in passed:
            passed.add(target)
            try:
                value = _look_up_or_default(cfg, target, default)
            except KeyError:
                raise ConfigError(
                    f'{place} is taken from {target}, which this config does not have: give it '
                    'a value of its own, or leave out the entry that needs it.') from None
            if not is_reference(value):
                break
            target = _REFERENCE.fullmatch(value)[1]  # which may refer further
        else:
            raise ConfigError(f'{place} is taken from itself, by way of {target}: give one of '
                              'them a value.')
        container[name] = copy.deepcopy(value)
    cfg.merge_from_dict(below)


def _check_replacement(cfg: Config, key: str, value: Any) -> None:
    """Refuse a word or a number where settings of a part, or of several, stand.

    The part would be built from it, which ends in an error from deep within the engine.
    """
    try:
        before = look_up(cfg, key)
    except KeyError:
        return
    parts = before if isinstance(before, (list, tuple)) else [before]
    if value is None or is_reference(value) or not any(isinstance(p, dict) for p in parts):
        return
    for entry in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(entry, (str, int, float, list, tuple)):
            raise ConfigError(
                f'"{entry}" cannot take the place of the settings in {key}: change one of them, '
                f"as {key}.NAME=VALUE, or write new ones as dict(type='NAME', ...).")


def is_reference(value: Any) -> bool:
    """Tell whether a value stands for another key of its config.

    Args:
        value: anything that a config holds.
    """
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def look_up(cfg: Config, key: str) -> Any:
    """Return what stands under a dotted key.

    Args:
        cfg: a config.
        key: names, and numbers for lists, as in ``param_scheduler.1.milestones``.

    Raises:
        KeyError: if nothing stands there.
    """
    node = cfg._cfg_dict
    for name in key.split('.'):
        if isinstance(node, (list, tuple)) and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, dict) and name in node:
            node = node[name]
        else:
            raise KeyError(key)
    return node


def _look_up_or_default(cfg: Config, key: str,
                        default: Callable[[Any, str], Any] | None) -> Any:
    """Return what stands under a dotted key, or what its part takes where nothing does."""
    try:
        return look_up(cfg, key)
    except KeyError:
        if default is None:
            raise
        part, _, name = key.rpartition('.')
        return default(look_up(cfg, part), name)


def _references(cfg: Config, live: Collection[str]) -> Iterator[tuple[str, Any, Any, str]]:
    """Yield place, container, key in the container, and target of each reference."""
    waiting = [(name, cfg._cfg_dict, name) for name in cfg if name in live or not live]
    while waiting:
        place, container, key = waiting.pop()
        value = container[key]
        if is_reference(value):
            yield place, container, key, _REFERENCE.fullmatch(value)[1]
        elif isinstance(value, dict):
            waiting += [(f'{place}.{name}', value, name) for name in value]
        elif isinstance(value, list):
            waiting += [(f'{place}.{number}', value, number) for number in range(len(value))]
