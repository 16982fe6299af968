"""The cosine distance: one for every ranking, search and picture."""

import numpy as np
import torch
from torch import Tensor

from .precision import full_precision

Array = np.ndarray | Tensor


def cosine_distance(query: Array, gallery: Array) -> Tensor:
    """Compute ``1 - q . g`` of unit descriptors, in full float32 whatever the program allows.

    Args:
        query: shape ``(Q, D)``, L2-normalised rows.
        gallery: shape ``(G, D)``, L2-normalised rows.

    Returns:
        Tensor: shape ``(Q, G)``, in [0, 2] up to rounding.

    Examples:
        >>> import torch
        >>> from mmvireid.evaluation import cosine_distance
        >>> cosine_distance(torch.eye(2), torch.tensor([[1., 0.], [0.6, 0.8]]))
        tensor([[0.0000, 0.4000],
                [1.0000, 0.2000]])
    """
    query = torch.as_tensor(query)
    with full_precision(query):
        product = query @ torch.as_tensor(gallery).T
    return product.neg_().add_(1)
