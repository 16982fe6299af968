"""Embed a gallery straight into an index on disk."""

import hashlib
import os
from pathlib import Path
from typing import Callable, Iterator, Sequence, Union

import numpy as np
import torch
from torch import Tensor

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


def is_index(path: Union[str, os.PathLike]) -> bool:
    """Tell whether a folder holds an index that was saved.

    Args:
        path: the folder; it need not exist.

    Returns:
        Whether it can be loaded.
    """
    return has_manifest(Path(path))


def write_index(path: Union[str, os.PathLike], inputs: Sequence[ImageInput],
                embed: Callable[[Sequence[ImageInput]], Iterator[Tensor]], *, kind: str,
                options: dict, fingerprint: str) -> GalleryIndex:
    """Write the descriptors of images to a new index, batch by batch.

    Never more than one batch is held, but for the sample that approximate kinds are
    trained on.

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
    for rows in embed(inputs):
        if index is None:
            index = GalleryIndex.create(
                rows.shape[1], kind, fingerprint=fingerprint, folder=path, **options)
            if index.needs_training:
                index.train(torch.cat(list(embed(_sample(inputs)))))
            index.reserve(len(inputs))
        images = inputs[start:start + len(rows)]
        index.add(
            rows, [image.path for image in images],
            **{name: [getattr(image, name) for image in images]
               for name in ('identity', 'camera', 'modality')})
        start += len(rows)
    index.save()
    return index


def _sample(inputs: Sequence[ImageInput]) -> list[ImageInput]:
    """Choose images at random, the same in every run."""
    num = min(len(inputs), TRAINING_SAMPLE)
    chosen = np.random.default_rng(0).choice(len(inputs), num, replace=False)
    return [inputs[i] for i in np.sort(chosen)]
