"""The separation loss of MPANet."""

from torch import Tensor

from ..utils import at_least_float32, without_autocast


def pattern_separation(maps: Tensor) -> Tensor:
    """Compute how much the patterns of an image overlap.

    The inner product over all positions of two patterns, averaged over the pairs of
    patterns and the images. Patterns that look at different places have zero (Wu et al.,
    "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification", CVPR
    2021). It is a sum over positions, so it grows with the size of the map.

    Args:
        maps: attention of P patterns, shape ``(N, P, h, w)``.

    Returns:
        Scalar; zero for a single pattern.

    Examples:
        >>> import torch
        >>> from mmvireid.models import pattern_separation
        >>> maps = torch.tensor([[[[1., 1.]], [[0., 1.]], [[0., 0.]]]])
        >>> pattern_separation(maps)  # one of three pairs meets in one place
        tensor(0.3333)
    """
    with without_autocast(maps):
        rows = at_least_float32(maps).flatten(2)
        overlap = rows @ rows.transpose(1, 2)
        # Each pair stands on both sides of the diagonal.
        pairs = overlap.sum() - overlap.diagonal(dim1=1, dim2=2).sum()
        number = len(maps) * max(1, maps.shape[1] * (maps.shape[1] - 1))
        return pairs / number
