"""What the command lines of inference share: arguments, tables and files."""

import argparse
import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmvireid.inference.image_inputs import is_list
from mmvireid.inference.inferencer import VIReIDInferencer
from mmvireid.registry import DATASETS
from mmvireid.structures import ImageSet, Modality, RetrievalResult
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.paths import path_as_text
from mmvireid.visualization.embedding import choose_images

from .arguments import (
    add_checkpoint,
    add_config,
    add_config_options,
    add_device,
    add_loading_arguments,
)
from .work_dirs import check_work_dir


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command line of inference takes, the model first.

    Args:
        parser: parser of the tool.
    """
    add_config(parser, 'config file, or the name of a model in a metafile')
    add_checkpoint(parser, 'checkpoint file, or an exported .onnx file')
    add_loading_arguments(parser, batch_size=64, num_workers=0)
    add_device(parser)
    add_config_options(parser, 'change the config, for example model.test_cfg.flip=True')


def check_modality(images: str, modality: str | None, option: str) -> None:
    """Make sure, before a model is loaded, that the modality of images is known.

    Args:
        images: an image, a folder or a list file.
        modality: what the command line says of them.
        option: its name, for the message.

    Raises:
        ConfigError: if nothing says whether they are visible or infrared.
    """
    if modality is None and not is_list(images):
        raise ConfigError(
            f'nothing says whether "{images}" is visible or infrared: add {option} visible or '
            f'{option} infrared, or give a list file with a modality column.')


def build_inferencer(args: argparse.Namespace) -> VIReIDInferencer:
    """Make the inferencer that a command line asks for.

    Args:
        args: arguments of :func:`add_inference_arguments`.

    Returns:
        The inferencer.
    """
    return VIReIDInferencer(
        args.config, args.checkpoint, args.device, cfg_options=args.cfg_options)


def embed_people(inferencer: VIReIDInferencer, people: int, per_modality: int, seed: int = 0,
                 **loading: Any) -> ImageSet:
    """Embed images of some people of a config's test set.

    Args:
        inferencer: the model.
        people: how many people; those who were seen in both modalities come first.
        per_modality: images at most of each in each modality.
        seed: decides people and images.
        **loading: further arguments of :meth:`VIReIDInferencer.embed`.

    Returns:
        Their images, with identities and cameras.
    """
    init_default_scope('mmvireid')
    dataset = DATASETS.build(inferencer.cfg.test_dataloader.dataset)
    rows = choose_images(dataset.identities, dataset.modalities, people, per_modality, seed)
    images = inferencer.embed(
        [dataset.img_paths[row] for row in rows], dataset.modalities[rows].tolist(), **loading)
    return replace(images, identity=dataset.identities[rows], camera=dataset.cameras[rows])


def check_output(path: str, suffixes: Sequence[str]) -> None:
    """Make sure, before hours are spent, that a file can be written.

    Args:
        path: the file.
        suffixes: endings that the tool can write.

    Raises:
        ConfigError: for another ending.
        WorkDirError: if its folder cannot be written to.
    """
    if Path(path).suffix.lower() not in suffixes:
        raise ConfigError(f'"{path}" should end in {" or ".join(suffixes)}.')
    check_work_dir(Path(path).parent)


def write_descriptors(images: ImageSet, path: str, descriptor: str) -> None:
    """Write descriptors to a file.

    Args:
        images: N images with descriptors.
        path: ``.npz`` gets an array for each descriptor and for ``path``, ``identity``,
            ``camera`` and ``modality``; ``.json`` gets an entry for each image, with all
            descriptors, and ``.csv`` a line, with one of them.
        descriptor: the one that a ``.csv`` gets.
    """
    if path.lower().endswith('.npz'):
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {n: rows.numpy() for n, rows in images.descriptors.items()}
        paths = np.array([path_as_text(path) for path in images.img_path])
        np.savez(buffer, path=paths, identity=images.identity,
                 camera=images.camera, modality=images.modality, **arrays)
        write_atomically(buffer.getvalue(), path)
        return
    if path.lower().endswith('.json'):
        # Nine digits give a float32 back as it was.
        values = {name: [[float(f'{value:.9g}') for value in row] for row in rows.tolist()]
                  for name, rows in images.descriptors.items()}
        document = [dict(_annotations(images, i), descriptors={n: v[i] for n, v in values.items()})
                    for i in range(len(images))]
        write_atomically(json.dumps(document).encode(), path)
        return
    rows = images.descriptors[descriptor].numpy()
    header = [*_ANNOTATIONS, *(f'{descriptor}_{i}' for i in range(rows.shape[1]))]
    lines = ([*_annotations(images, i).values(), *(f'{value:.8g}' for value in row)]
             for i, row in enumerate(rows))
    write_atomically(_csv(header, lines), path)


def write_results(results: Sequence[RetrievalResult], path: str, **about: Any) -> None:
    """Write what was found to a file.

    Args:
        results: one result a query.
        path: ``.json`` or ``.csv``.
        **about: what else a ``.json`` says, such as the ranking.
    """
    if path.lower().endswith('.json'):
        texts = {key: path_as_text(value) for key, value in about.items()
                 if isinstance(value, str)}
        document = {**about, **texts, 'queries': [_as_dict(result) for result in results]}
        write_atomically(json.dumps(document, indent=2).encode(), path)
        return
    header = ['query', 'rank', 'distance', *_ANNOTATIONS]
    lines = ([entry['query']['path'], match['rank'], f'{match["distance"]:.8g}',
              *(match[key] for key in _ANNOTATIONS)]
             for entry in map(_as_dict, results) for match in entry['matches'])
    write_atomically(_csv(header, lines), path)


def picture_name(number: int, query: str) -> str:
    """Name the picture of a query's result.

    Args:
        number: of the query, which makes the name unique.
        query: path of its image. What is too long of its name for a file's is left out.

    Examples:
        >>> from mmvireid.cli.inference import picture_name
        >>> picture_name(7, 'night/gate.jpg')
        '00007_gate.png'
        >>> len(picture_name(7, f'{250 * "n"}.jpg'))
        210
    """
    stem = os.fsencode(Path(query).stem)[:200].decode('utf-8', 'ignore')
    return f'{number:05d}_{stem}.png'


def print_results(results: Sequence[RetrievalResult], max_queries: int = 10) -> None:
    """Print a table of what was found.

    Folders that all queries, or all matches, share stand above them, so that paths fit into
    a terminal.

    Args:
        results: one result a query.
        max_queries: queries to show; the others are counted.
    """
    shown = [_as_dict(result) for result in results[:max_queries]]
    known = [name for name, unknown in (('identity', -1), ('camera', 0))
             if any(match[name] != unknown for entry in shown for match in entry['matches'])]
    num = len(results)
    table = Table(title=f'{num} {"query" if num == 1 else "queries"}')
    queries, asked = _take_out_common_folder([entry['query']['path'] for entry in shown])
    folder, found = _take_out_common_folder(
        [match['path'] for entry in shown for match in entry['matches']])
    for column in (f'query{queries}', 'rank', f'match{folder}', 'distance', *known):
        right = not column.startswith(('query', 'match'))
        table.add_column(column, justify='right' if right else 'left', overflow='fold')
    names = iter(found)
    for query, entry in zip(asked, shown):
        for match in entry['matches']:
            table.add_row(
                escape(query) if match['rank'] == 1 else '', str(match['rank']),
                escape(next(names)), f'{round(match["distance"], 4) + 0.0:.4f}',
                *(str(match[name]) for name in known))
        table.add_section()
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    if len(results) > max_queries:
        console.print(f'... and {len(results) - max_queries} more queries: --out writes all.')


def _take_out_common_folder(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Take the folders that all paths share out of them, and give them as part of a title."""
    folders = [os.path.dirname(path) for path in paths]
    if '' in folders or len({os.path.isabs(folder) for folder in folders}) != 1:
        return '', list(paths)
    shared = os.path.commonpath(folders)
    if shared in ('', os.sep):
        return '', list(paths)
    return f' in {escape(shared)}', [os.path.relpath(path, shared) for path in paths]


_ANNOTATIONS = ('path', 'identity', 'camera', 'modality')


def _annotations(images: ImageSet, row: int) -> dict[str, Any]:
    return dict(
        path=path_as_text(images.img_path[row]),
        identity=int(images.identity[row]),
        camera=int(images.camera[row]),
        modality=Modality(int(images.modality[row])).name.lower())


def _as_dict(result: RetrievalResult) -> dict[str, Any]:
    """Say a result in plain values."""
    matches = [
        dict(rank=row + 1, distance=float(distance), row=int(result.gallery.sample_idx[row]),
             **_annotations(result.gallery, row))
        for row, distance in enumerate(result.distance[0])
    ]
    return dict(query=_annotations(result.query, 0), matches=matches)


def _csv(header: Sequence[str], lines: Iterator[Sequence]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue().encode()
