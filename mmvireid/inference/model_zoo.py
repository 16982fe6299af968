"""Configs by the names that the metafiles give them."""

import difflib
from pathlib import Path
from typing import NamedTuple

import yaml

import mmvireid
from mmvireid.utils.errors import ConfigError


class ZooModel(NamedTuple):
    """One entry of a metafile.

    Attributes:
        name: its name, also the stem of its config.
        config: the config file.
        weights: address or file of its published weights, None where there are none.
    """

    name: str
    config: Path
    weights: str | None


def zoo_root() -> Path:
    """Find the folder that ``configs/`` lies in.

    An ordinary installation carries the configs in ``.mim`` inside the package, where
    OpenMMLab's tools look for them too; an editable one, or a clone, has them beside the
    package.

    Returns:
        The folder.

    Raises:
        ConfigError: if the configs are in neither place.
    """
    package = Path(mmvireid.__file__).resolve().parent
    for folder in (package / '.mim', package.parent):
        if any(folder.glob('configs/*/metafile.yml')):
            return folder
    raise ConfigError(
        'this installation of mmvireid has no configs, so models have no names here: give the '
        'path of a config file, or install from a clone or a wheel.')


def zoo_models() -> dict[str, ZooModel]:
    """Read all metafiles.

    Returns:
        Name -> model, in the order of the metafiles.

    Raises:
        ConfigError: if the installation has no configs.
    """
    root = zoo_root()
    models = {}
    for metafile in sorted(root.glob('configs/*/metafile.yml')):
        for entry in yaml.safe_load(metafile.read_text(encoding='utf-8'))['Models']:
            models[entry['Name']] = ZooModel(
                entry['Name'], root / entry['Config'], entry.get('Weights'))
    return models


def find_model(name: str) -> ZooModel:
    """Look a model up by its name.

    Args:
        name: for example ``cift_r50_120e_sysu``.

    Returns:
        Its config and its weights.

    Raises:
        ConfigError: if no metafile has it; the message names similar ones.

    Examples:
        >>> from mmvireid.apis import find_model
        >>> find_model('cift_r50_sysu')
        Traceback (most recent call last):
            ...
        mmvireid.utils.errors.ConfigError: there is no config file and no model "cift_r50_sysu...
    """
    models = zoo_models()
    if name not in models:
        similar = difflib.get_close_matches(name, models, n=3, cutoff=0.4)
        hint = f'did you mean {" or ".join(similar)}?' if similar else (
            'mmvireid.apis.zoo_models() lists the names.')
        raise ConfigError(f'there is no config file and no model "{name}": {hint}')
    return models[name]
