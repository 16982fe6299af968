"""Keys of a config that nothing takes, found before anything is built."""

import difflib
import inspect
import sys
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

import mmvireid.registry
from mmvireid.compat import known_warnings_hidden
from mmvireid.utils.errors import ConfigError

#: Entries at the top of a config whose ``type`` may be left out -> what MMEngine then builds.
_USUAL_TYPES = {
    'optim_wrapper': 'OptimWrapper', 'val_cfg': 'ValLoop', 'test_cfg': 'TestLoop',
    'log_processor': 'LogProcessor', 'visualizer': 'Visualizer'
}
#: Keys that MMEngine takes out of an entry before it builds the rest.
_TAKEN_OUT = {
    'optim_wrapper': {'constructor', 'paramwise_cfg', 'optimizer'},
    'param_scheduler': {'convert_to_iter_based'}, 'train_cfg': {'by_epoch'},
    'default_hooks': {'priority'}, 'custom_hooks': {'priority'}, 'visualizer': {'name'},
}
#: Entries that are not built but read, or handed to a function -> their keys.
_PLAIN_ENTRIES = {
    **dict.fromkeys(('train_dataloader', 'val_dataloader', 'test_dataloader'),
                    {*inspect.signature(DataLoader).parameters, 'num_batch_per_epoch'}),
    'randomness': set(inspect.signature(Runner.set_randomness).parameters) - {'self'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'auto_scale_lr': {'base_batch_size', 'enable'},
}
#: What a layer is made of: builders of layers take keys out of it.
_LAYER_KEYS = {'norm_cfg', 'conv_cfg', 'act_cfg', 'override'}


def check_keys(cfg: Config) -> None:
    """Refuse keys that the part they are meant for does not take.

    A mistyped key would otherwise end a run with a ``TypeError`` from deep within the engine,
    or be ignored. Parts are looked up in the registries as the engine does it; what takes any
    key (``**kwargs`` of a class that is not mmvireid's) is believed.

    Args:
        cfg: a whole config.

    Raises:
        ConfigError: names the key, the part, and the most similar key or what it takes.
    """
    for name in (*inspect.signature(Runner.__init__).parameters, 'data_preprocessor'):
        entry = cfg.get(name)
        if name in _PLAIN_ENTRIES and isinstance(entry, dict):
            _refuse_unknown(name, entry, _PLAIN_ENTRIES[name], '')
        if name == 'default_hooks':
            _check_hook_names(entry or {})
        if name == 'custom_hooks' and entry is not None:
            _check_hook_list(entry)
        if name == 'train_cfg' and isinstance(entry, dict) and 'type' not in entry:
            kind = 'EpochBased' if entry.get('by_epoch', True) else 'IterBased'
            _check_part(name, dict(entry, type=f'{kind}TrainLoop'), _TAKEN_OUT[name])
        elif name in _USUAL_TYPES and isinstance(entry, dict) and 'type' not in entry:
            _check_part(name, dict(entry, type=_USUAL_TYPES[name]), _TAKEN_OUT.get(name, set()))
        for key, part in _parts(name, entry):
            _check_part(key, part, _TAKEN_OUT.get(name, set()))


def unknown_key(owner: str, key: str, known: Collection[str], more: int = 0) -> str:
    """Say in one sentence that a part does not take a key.

    Args:
        owner: the part, as a person would find it.
        key: what it got.
        known: what it takes.
        more: how many other keys it does not take either.

    Examples:
        >>> from mmvireid.config_check import unknown_key
        >>> unknown_key('train_dataloader.sampler', 'num_idz', ['num_ids', 'num_steps'])
        'train_dataloader.sampler takes no "num_idz": did you mean "num_ids"?'
    """
    similar = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    if similar and not more:
        return f'{owner} takes no "{key}": did you mean "{similar[0]}"?'
    others = f' and {more} more of its keys' if more else ''
    return (f'{owner} takes no "{key}"{others}: it takes {", ".join(known) or "nothing"}; where a '
            'config changes the type of a part that it inherits, _delete_=True in the part leaves '
            'the keys of the old type out.')


def accepted_keys(part: Any) -> list[str] | None:
    """Return the keys that a class or function can be built with.

    Args:
        part: the class or function.

    Returns:
        Names of its arguments, those of the parents included where a class of mmvireid or an
        optimiser of MMEngine hands further ones on; None where any key is taken.
    """
    if not inspect.isclass(part):
        return _arguments_of(part)[0] if not _arguments_of(part)[1] else None
    names: dict[str, None] = {}
    for kind in part.__mro__[:-1]:
        if '__init__' not in vars(kind):
            continue
        own, takes_any = _arguments_of(kind.__init__)
        names.update(dict.fromkeys(own[1:]))  # without self
        # It says **kwargs, but all that it does with them it does by itself.
        if not takes_any or kind is CheckpointHook:
            return list(names)
        if not kind.__module__.startswith(('mmvireid.', 'mmengine.optim.')):
            return None
    return None


def default_value(part: Any, key: str) -> Any:
    """Return what a part takes for a key that its config leaves out.

    Args:
        part: entry of a config.
        key: name of an argument.

    Raises:
        KeyError: if nothing of that type has the argument, or it must be given.

    Examples:
        >>> from mmvireid.config_check import default_value
        >>> default_value(dict(type='TripletLoss'), 'margin')
        0.3
    """
    for candidate in _candidates(part['type'] if isinstance(part, dict) else None):
        for kind in inspect.getmro(candidate) if inspect.isclass(candidate) else (candidate, ):
            function = vars(kind).get('__init__') if inspect.isclass(kind) else kind
            if not inspect.isfunction(function):
                continue
            parameter = inspect.signature(function).parameters.get(key)
            if parameter is not None and parameter.default is not inspect.Parameter.empty:
                return parameter.default
    raise KeyError(key)


def _arguments_of(function: Any) -> tuple[list[str], bool]:
    """Return the arguments that have a name, and whether any other is taken too."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # written in C
        return [], True
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return named, any(p.kind == p.VAR_KEYWORD for p in parameters)


def _parts(key: str, node: Any) -> Iterator[tuple[str, dict]]:
    """Go through the parts below an entry of a config, each with its dotted key."""
    if isinstance(node, dict):
        if 'type' in node:
            yield key, node
            found = _candidates(node['type'])
            # How others use what they are given is not known.
            if not all(part.__module__.startswith('mmvireid.') for part in found):
                node = {name: node[name] for name in ('optimizer', ) if name in node}
        children = [(name, child) for name, child in node.items() if name not in _LAYER_KEYS]
    elif isinstance(node, (list, tuple)):
        children = list(enumerate(node))
    else:
        return
    for name, child in children:
        yield from _parts(f'{key}.{name}', child)


def _candidates(kind: Any) -> list[Any]:
    """Find what may be meant by a ``type``: a class, or what any registry calls so."""
    if not isinstance(kind, str):
        return [kind] if callable(kind) else []
    found = [_registered(node, kind) for node in vars(mmvireid.registry).values()
             if isinstance(node, Registry)]
    return list({id(part): part for part in found if part is not None}.values())


def _registered(node: Registry, kind: str) -> Any:
    """Find what a registry or its parent calls so, None if there is nothing."""
    if '.' in kind:  # of another scope, or a whole path
        # What a package has to say while it is imported does not belong to a tool's output.
        with known_warnings_hidden(), redirect_stdout(sys.stderr):
            return node.get(kind)
    # Registry.get would also try to import a module of that name.
    node.import_from_location()
    inherited = node.parent.module_dict if node.parent else {}
    return node.module_dict.get(kind) or inherited.get(kind)


def _check_hook_names(hooks: dict) -> None:
    """Refuse settings of a hook that there is not: a new one has a type."""
    for name, hook in hooks.items():
        _check_is_hook(f'default_hooks.{name}', hook)
        if isinstance(hook, dict) and 'type' not in hook:
            known = [other for other in hooks if other != name]
            similar = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f'default_hooks has no "{name}": ' +
                (f'did you mean "{similar[0]}"?' if similar else 'a new hook needs a type.'))


def _check_hook_list(hooks: Any) -> None:
    """Refuse what is no list of hooks."""
    if not isinstance(hooks, (list, tuple)):
        raise ConfigError(f'custom_hooks is a list, [dict(type=\'NAME\', ...)], not "{hooks}".')
    for number, hook in enumerate(hooks):
        _check_is_hook(f'custom_hooks.{number}', hook)


def _check_is_hook(key: str, hook: Any) -> None:
    """Refuse a hook that is named but not described."""
    if isinstance(hook, (str, int, float, list, tuple)):
        raise ConfigError(
            f'{key} is "{hook}", which describes no hook: write dict(type=\'NAME\', ...).')


def _check_part(key: str, part: dict, taken_out: Collection[str]) -> None:
    """Refuse the keys of a part that nothing of its name takes."""
    candidates = _candidates(part['type'])
    accepted = [accepted_keys(candidate) for candidate in candidates]
    ignored = {'type', '_scope_', *taken_out}
    if not accepted or any(
            known is None or set(part) <= {*known, *ignored} for known in accepted):
        return
    fullest = max(accepted, key=lambda known: len(set(known) & set(part)))
    name = getattr(candidates[accepted.index(fullest)], '__name__', part['type'])
    _refuse_unknown(key, {k: v for k, v in part.items() if k not in ignored}, fullest, name)


def _refuse_unknown(key: str, entry: dict, known: Collection[str], name: str) -> None:
    """Raise if an entry has a key that is not known."""
    unknown = [word for word in entry if word not in known]
    if unknown:
        owner = f'{key} ({name})' if name else key
        raise ConfigError(unknown_key(owner, unknown[0], sorted(known), len(unknown) - 1))
