"""k-reciprocal re-ranking of a gallery."""

import numpy as np
import torch

from mmvireid.clustering import jaccard_pairs, k_reciprocal_encoding
from mmvireid.clustering.neighbors import NeighborLists, half_of
from mmvireid.search.topk import float_rows, topk
from mmvireid.utils.cosine import Array, cosine_distance
from mmvireid.utils.errors import InputError

#: Largest deviation from length 1 that float16 storage of unit rows can cause, and more.
LENGTH_TOLERANCE = 1e-2
#: Well above the rounding error of a squared distance, 4e-7.
SMALLEST_DIVISOR = 1e-5


def k_reciprocal_rerank(query: Array,
                        gallery: Array,
                        *,
                        k1: int = 20,
                        k2: int = 6,
                        lambda_value: float = 0.3) -> Array:
    """Re-rank a gallery by mixing the distance with a k-reciprocal Jaccard distance.

    Query and gallery images are neighbours of each other alike, so the result depends on
    the whole set of queries: report it apart from single-image descriptors. Squared
    Euclidean distances are divided by each image's largest one before they become weights
    (Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR
    2017, equation 12). The encoding is the one that pseudo labels are made of; no
    ``(Q + G) x (Q + G)`` matrix is formed.

    Args:
        query: shape ``(Q, D)`` float, L2-normalised rows, torch (CPU or CUDA) or numpy.
        gallery: shape ``(G, D)`` float, of the same kind.
        k1: neighbours that form a set, without the image itself.
        k2: neighbours that query expansion averages over, 1 for none.
        lambda_value: share of the original distance, in [0, 1].

    Returns:
        Array: shape ``(Q, G)`` float32, smaller is nearer, numpy or torch as ``query`` was.

    Raises:
        InputError: if a set is empty, rows are not of unit length, or an option is out of
            range.

    Examples:
        >>> import torch
        >>> from mmvireid.evaluation import k_reciprocal_rerank
        >>> angles = torch.tensor([0.0, 0.1, 0.2, 1.4, 1.5])  # two groups
        >>> rows = torch.stack([angles.cos(), angles.sin()], dim=1)
        >>> distance = k_reciprocal_rerank(rows[:1], rows[1:], k1=2, k2=1)
        >>> (distance[0] < 0.5).tolist()
        [True, True, False, False]
    """
    if k1 < 1 or k2 < 1:
        raise InputError(f'k1 and k2 must be at least 1, got {k1} and {k2}')
    if not 0 <= lambda_value <= 1:
        raise InputError(f'lambda_value must be in [0, 1], got {lambda_value}')
    num_query = len(query)
    if num_query == 0 or len(gallery) == 0:
        raise InputError(f'nothing to rank: {num_query} queries, {len(gallery)} gallery images')
    first = float_rows('query', query)
    features = torch.cat([first, float_rows('gallery', gallery).to(first.device)])
    deviation = float((features.norm(dim=1) - 1).abs().max())
    if deviation > LENGTH_TOLERANCE:
        raise InputError(
            'rows must be of unit length; one deviates by '
            f'{deviation:.2g}. Use torch.nn.functional.normalize first')

    num = len(features)
    _, ranks = topk(features, features, min(max(k1 + 1, k2), num), metric='l2')
    ranks = ranks.cpu().numpy()
    farthest = 2 + 2 * topk(-features, features, 1)[0][:, 0]
    # All images (almost) equal: do not blow rounding errors up to distances.
    farthest = farthest.clamp(min=SMALLEST_DIVISOR)
    lists = NeighborLists(
        full=ranks[:, :k1 + 1],
        half=ranks[:, :half_of(k1) + 1],
        expansion=(ranks[:, :k2], ) if k2 > 1 else ())
    encoding = k_reciprocal_encoding(features, lists, row_scale=1 / farthest.cpu().numpy())

    rows = np.arange(num_query)
    pairs = jaccard_pairs(encoding, rows, np.full(num_query, num_query))
    jaccard = np.ones((num_query, num - num_query), dtype=np.float32)
    owner = np.repeat(rows, np.diff(pairs.indptr))
    jaccard[owner, pairs.indices - num_query] = pairs.data
    # The squared Euclidean distance of unit rows is twice their cosine distance.
    result = cosine_distance(features[:num_query], features[num_query:])
    result = result.mul_(2).clamp_(min=0).div_(farthest[:num_query, None])
    result.mul_(lambda_value).add_(
        torch.from_numpy(jaccard).to(result.device), alpha=1 - lambda_value)
    return result.numpy() if isinstance(query, np.ndarray) else result
