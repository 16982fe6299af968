"""Embed a gallery straight into an index on disk."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmvireid.datasets.folders import real_paths
from mmvireid.search import GalleryIndex
from mmvireid.search.index.manifest import has_manifest

from .image_inputs import ImageInput

#: Images that are embedded first to choose the cells of an approximate index.
TRAINING_SAMPLE = 65536


def index_fingerprint(model: str, descriptor: str) -> str:
    """Name what an index holds: a descriptor of a model.

    Args:
        model: fingerprint of the network.
        descriptor: name of the descriptor.

    Returns:
        SHA-256 in hexadecimal digits.
    """
    return hashlib.sha256(f'{model} {descriptor}'.encode()).hexdigest()


def is_index(path: str | os.PathLike) -> bool:
    """Tell whether a folder holds an index that was saved.

    Args:
        path: the folder; it need not exist.

    Returns:
        Whether it can be loaded.
    """
    return has_manifest(Path(path))


def write_index(path: str | os.PathLike, inputs: Sequence[ImageInput],
                embed: Callable[[Sequence[ImageInput]], Iterator[Tensor]], *, kind: str,
                options: dict, fingerprint: str) -> GalleryIndex:
    """Write the descriptors of images to a new index, batch by batch.

    Paths are stored as absolute ones, so that they hold from any folder. Never more than
    one batch is held, but for the sample that approximate kinds are
    trained on. Where it fails, nothing is left in the folder.

    Args:
        path: folder of the index.
        inputs: the gallery, at least one image.
        embed: yields descriptors of images, each batch of shape ``(B, D)``, in order.
        kind: as in :meth:`mmvireid.search.GalleryIndex.create`.
        options: options of the kind.
        fingerprint: what the index is checked against when it is loaded.

    Returns:
        The index, saved.

    Raises:
        GalleryIndexError: if the folder holds an index, or an option does not fit.
    """
    index, start = None, 0
    try:
        for rows in embed(inputs):
            if index is None:
                index = GalleryIndex.create(
                    rows.shape[1], kind, fingerprint=fingerprint, folder=path, **options)
                if index.needs_training:
                    index.train(torch.cat(list(embed(_sample(inputs)))))
                index.reserve(len(inputs))
            images = inputs[start:start + len(rows)]
            index.add(
                rows, [os.path.abspath(image.path) if image.path else '' for image in images],
                **{name: [getattr(image, name) for image in images]
                   for name in ('identity', 'camera', 'modality')})
            start += len(rows)
        index.save()
    except BaseException:
        if index is not None:
            index.discard()
        raise
    return index


class GalleryChanges(NamedTuple):
    """How a gallery's files differ from what an index of it holds.

    Attributes:
        new: files that the index does not know, so that nobody finds them.
        missing: paths in the index that are no more among the files.
    """

    new: list[str]
    missing: list[str]


def compare_files(index: GalleryIndex, files: Sequence[str]) -> GalleryChanges:
    """Compare an index with the files of its gallery as they are now.

    Args:
        index: an index whose ids are paths.
        files: paths of the gallery's images.

    Returns:
        What came and what went. A file is known by where it really lies, so links and
        relative paths make no difference; a file that was replaced is not noticed.
    """
    stored = [name for name in index.info().ids if name]
    known, there = set(real_paths(stored)), set(real_paths(files))
    return GalleryChanges(
        [path for path, real in zip(files, real_paths(files)) if real not in known],
        [path for path, real in zip(stored, real_paths(stored)) if real not in there])


def _sample(inputs: Sequence[ImageInput]) -> list[ImageInput]:
    """Choose images at random, the same in every run."""
    num = min(len(inputs), TRAINING_SAMPLE)
    chosen = np.random.default_rng(0).choice(len(inputs), num, replace=False)
    return [inputs[i] for i in np.sort(chosen)]
