"""Distances of all trials from descriptors that were computed once."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mmvireid.utils.cosine import Array, cosine_distance


def trial_distances(query: Array, images: Array, galleries: Sequence[Array]) -> Iterator[Tensor]:
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
        Tensor: shape ``(Q, G)`` of one trial, columns in the order of its gallery.

    Examples:
        >>> import torch
        >>> from mmvireid.evaluation import trial_distances
        >>> images = torch.tensor([[1., 0.], [0., 1.], [0.6, 0.8]])
        >>> for distance in trial_distances(images[:1], images, [[0, 1], [2]]):
        ...     print(distance)
        tensor([[0., 1.]])
        tensor([[0.4000]])
    """
    images = torch.as_tensor(images)
    galleries = [torch.as_tensor(rows, device=images.device).long() for rows in galleries]
    # Which images any trial uses, and for each place in a gallery its column among them.
    used, columns = torch.unique(torch.cat(galleries), return_inverse=True)
    if len(used) < len(images):
        images = images[used]
    else:  # All are in use: no copy, and a column is the number of its image.
        columns = used[columns]
    distance = cosine_distance(query, images)
    for trial in columns.split([len(rows) for rows in galleries]):
        yield distance.index_select(1, trial)
