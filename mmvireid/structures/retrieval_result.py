"""The outcome of one retrieval: distances, and who is who."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from mmvireid.utils.cosine import cosine_distance
from mmvireid.utils.errors import InputError

#: What is kept of each image besides its descriptors.
ANNOTATIONS = ('identity', 'camera', 'modality', 'sample_idx')


@dataclass(frozen=True)
class ImageSet:
    """Descriptors and annotations of a set of images, row by row.

    Args:
        descriptors: name -> tensor of shape ``(N, D)``, L2-normalised rows.
        identity: shape ``(N,)`` int64.
        camera: shape ``(N,)`` int64, 0 where unknown.
        modality: shape ``(N,)`` int64, 0 visible, 1 infrared.
        sample_idx: shape ``(N,)`` int64, index into the dataset.
        img_path: N paths, or empty when unknown.

    Raises:
        InputError: if the rows do not agree in number.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from mmvireid.structures import ImageSet
        >>> images = ImageSet(
        ...     dict(base=torch.eye(3)), identity=np.array([7, 7, 9]), camera=np.array([1, 3, 3]),
        ...     modality=np.array([0, 1, 1]), sample_idx=np.arange(3))
        >>> infrared = images[images.modality == 1]
        >>> len(infrared), infrared.identity.tolist(), infrared.descriptors['base'].shape
        (2, [7, 9], torch.Size([2, 3]))
    """

    descriptors: Mapping[str, torch.Tensor]
    identity: np.ndarray
    camera: np.ndarray
    modality: np.ndarray
    sample_idx: np.ndarray
    img_path: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.identity)
        lengths = {name: len(getattr(self, name)) for name in ANNOTATIONS}
        lengths.update({name: len(rows) for name, rows in self.descriptors.items()})
        if self.img_path:
            lengths['img_path'] = len(self.img_path)
        wrong = {name: rows for name, rows in lengths.items() if rows != n}
        if wrong:
            raise InputError(f'an ImageSet of {n} images got {wrong} rows')

    def __len__(self) -> int:
        return len(self.identity)

    def __getitem__(self, index: np.ndarray | slice) -> 'ImageSet':
        """Select rows by an integer array, a boolean mask or a slice."""
        if isinstance(index, slice):
            index = np.arange(len(self))[index]
        index = np.asarray(index)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        rows = torch.from_numpy(index)
        return ImageSet(
            descriptors={k: v[rows.to(v.device)] for k, v in self.descriptors.items()},
            img_path=[self.img_path[i] for i in index] if self.img_path else (),
            **{name: getattr(self, name)[index] for name in ANNOTATIONS})


@dataclass(frozen=True)
class RetrievalResult:
    """Queries, a gallery and the distance between them.

    A post-processor, such as re-ranking, takes a result and returns
    another one with a new ``distance``; nothing is changed in place.

    Args:
        query: the Q query images.
        gallery: the G gallery images.
        distance: shape ``(Q, G)``, smaller is nearer.
        descriptor: name of the descriptor from which ``distance`` was computed.

    Raises:
        InputError: if ``distance`` is not of shape ``(Q, G)``.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from mmvireid.structures import ImageSet, RetrievalResult
        >>> def images(rows, modality):
        ...     number = np.arange(len(rows))
        ...     return ImageSet(dict(base=torch.tensor(rows)), number, number,
        ...                     np.full(len(rows), modality), number)
        >>> result = RetrievalResult.from_descriptors(
        ...     images([[0., 1.]], 1), images([[1., 0.], [0.6, 0.8]], 0))
        >>> result.distance, result.topk(1)
        (tensor([[1.0000, 0.2000]]), tensor([[1]]))
    """

    query: ImageSet
    gallery: ImageSet
    distance: torch.Tensor
    descriptor: str | None = 'base'

    def __post_init__(self) -> None:
        expected = (len(self.query), len(self.gallery))
        if tuple(self.distance.shape) != expected:
            raise InputError(
                f'{expected[0]} queries and {expected[1]} gallery images need a distance of '
                f'shape {expected}, got {tuple(self.distance.shape)}')

    @classmethod
    def from_descriptors(cls,
                         query: ImageSet,
                         gallery: ImageSet,
                         descriptor: str = 'base') -> 'RetrievalResult':
        """Rank by cosine distance ``1 - q . g`` of one descriptor.

        Args:
            query: Q images with that descriptor, L2-normalised, of shape ``(Q, D)``.
            gallery: G images with that descriptor, of shape ``(G, D)``.
            descriptor: its name.

        Returns:
            The images, and their distances of shape ``(Q, G)``.

        Raises:
            InputError: if the images have no such descriptor.
        """
        for images in (query, gallery):
            if descriptor not in images.descriptors:
                raise InputError(
                    f'there is no descriptor "{descriptor}"; '
                    f'the model gives {", ".join(sorted(images.descriptors))}')
        distance = cosine_distance(
            query.descriptors[descriptor], gallery.descriptors[descriptor])
        return cls(query, gallery, distance, descriptor)

    def with_distance(self, distance: torch.Tensor) -> 'RetrievalResult':
        """Return the same images under another distance.

        Args:
            distance: shape ``(Q, G)``.
        """
        return replace(self, distance=distance)

    def topk(self, k: int) -> torch.Tensor:
        """Return gallery rows of the nearest images.

        Args:
            k: how many.

        Returns:
            Tensor: shape ``(Q, min(k, G))`` int64, nearest first.
        """
        k = min(k, len(self.gallery))
        return self.distance.topk(k, dim=1, largest=False).indices
