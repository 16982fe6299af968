"""Distances of all trials from descriptors that were computed once."""

from typing import Iterator, Sequence, Union

import numpy as np
import torch

from mmvireid.utils.precision import full_precision

Array = Union[np.ndarray, torch.Tensor]


def cosine_distance(query: Array, gallery: Array) -> torch.Tensor:
    """Compute ``1 - q . g`` of unit descriptors.

    Args:
        query: shape ``(Q, D)``, L2-normalised rows.
        gallery: shape ``(G, D)``, L2-normalised rows.

    Returns:
        torch.Tensor: shape ``(Q, G)``, in [0, 2] up to rounding.
    """
    query = torch.as_tensor(query)
    with full_precision(query):
        product = query @ torch.as_tensor(gallery).T
    return product.neg_().add_(1)


def trial_distances(query: Array, images: Array,
                    galleries: Sequence[Array]) -> Iterator[torch.Tensor]:
    """Yield the cosine distance of each trial from one product with all images in use.

    The galleries of ten trials overlap: ten multi-shot galleries of SYSU-MM01 have 30,100
    rows, but there are 6,775 images to draw from. Each image that any trial uses is
    multiplied once, and a trial selects its columns.

    Args:
        query: shape ``(Q, D)``, L2-normalised rows.
        images: shape ``(N, D)``, L2-normalised rows: all images a gallery may draw from.
        galleries: for each trial the rows of ``images`` in its gallery, each of shape
            ``(G,)`` int.

    Yields:
        torch.Tensor: shape ``(Q, G)`` of one trial, columns in the order of its gallery.
    """
    images = torch.as_tensor(images)
    galleries = [torch.as_tensor(rows, device=images.device).long() for rows in galleries]
    used, columns = torch.unique(torch.cat(galleries), return_inverse=True)
    if len(used) < len(images):
        images = images[used]
    else:
        columns = used[columns]
    distance = cosine_distance(query, images)
    for trial in columns.split([len(rows) for rows in galleries]):
        yield distance.index_select(1, trial)
