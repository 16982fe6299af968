"""Matching of clusters by optimal transport."""

import logging
import math

import numpy as np
import torch

from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet
from mmvireid.utils.errors import ConfigError, InputError

from .matching import Array, Associator, ClusterMatch, matching_cost
from .prototypes import centroids_by_modality

logger = logging.getLogger(__name__)

#: Iterations of Sinkhorn's algorithm from one test of the marginals to the next.
TEST_EVERY = 10


def optimal_transport_matching(visible: Array,
                               infrared: Array,
                               *,
                               reg: float = 5.0,
                               max_iters: int = 5000,
                               tol: float = 1e-5) -> tuple[ClusterMatch, np.ndarray]:
    """Match clusters by the largest entries of an entropic transport plan.

    Every visible cluster sends the same mass and every infrared one receives the same; a
    pair costs ``exp(-cosine)``. The partner of a cluster is the other end of its largest
    entry, so each cluster has one, several may share one, and partners need not be mutual
    (RPNR, MM 2024, optimal transport prototype matching).

    With the published ``reg=5`` the plan is nearly flat, and matches as the nearest
    centroid would if centroids that are near to everybody counted as farther away. Towards
    ``reg=0`` it becomes a one-to-one assignment. Sinkhorn's algorithm runs on logarithms in
    float64, so that no ``reg`` overflows.

    Args:
        visible: shape ``(Kv, D)``, centroids of any length.
        infrared: shape ``(Ki, D)``.
        reg: weight of the entropy.
        max_iters: iterations after which the plan is taken as it is.
        tol: error of the marginals at which the iterations end, as a Euclidean norm; it is
            tested after the first iteration and then every tenth.

    Returns:
        tuple: the partners, whose notes have the number of iterations, and the plan of shape
        ``(Kv, Ki)`` float64, whose rows sum to ``1 / Kv`` and whose columns sum to ``1 / Ki``.

    Raises:
        ConfigError: if ``reg`` or ``tol`` is not positive or there is no iteration.
        InputError: if a modality has no cluster, shapes do not agree or a value is not finite.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import optimal_transport_matching
        >>> visible = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> match, plan = optimal_transport_matching(visible, visible[[2, 0]])
        >>> match.visible_to_infrared, match.infrared_to_visible
        (array([1, 1, 0]), array([2, 0]))
    """
    if reg <= 0 or tol <= 0 or max_iters < 1:
        raise ConfigError('optimal transport needs reg and tol above 0 and max_iters of at least '
                          f'1, got {reg}, {tol} and {max_iters}')
    cost = matching_cost(visible, infrared)
    num_visible, num_infrared = cost.shape
    if not cost.size:
        raise InputError('matching needs clusters of both modalities, got '
                         f'{num_visible} visible and {num_infrared} infrared ones')
    # A pair's share of the plan is exp(of_visible + log_kernel + of_infrared).
    log_kernel = torch.from_numpy(-cost / reg)
    of_visible = torch.zeros(num_visible, dtype=torch.float64)
    for iteration in range(max_iters):
        of_infrared = -math.log(num_infrared) - (log_kernel + of_visible[:, None]).logsumexp(0)
        of_visible = -math.log(num_visible) - (log_kernel + of_infrared).logsumexp(1)
        if iteration % TEST_EVERY == 0 or iteration == max_iters - 1:
            plan = (of_visible[:, None] + log_kernel + of_infrared).exp().numpy()
            # Rows are right after each iteration.
            error = np.linalg.norm(plan.sum(0) - 1 / num_infrared)
            if error < tol:
                break
    else:
        logger.warning(f'Optimal transport took {max_iters} iterations and is still {error:.1e} '
                       f'off; the plan is used as it is. A larger reg than {reg} ends sooner.')
    # Entries that are equal but for rounding, as all are with one cluster on a side: the
    # nearer centroid.
    score = plan * plan.size - 1e-9 * cost
    return ClusterMatch(score.argmax(1), score.argmax(0),
                        {'transport iterations': iteration + 1}), plan


@TASK_UTILS.register_module()
class OptimalTransportMatching(Associator):
    """Match the clusters of the two modalities by :func:`optimal_transport_matching`.

    Args:
        reg: weight of the entropy.
        max_iters: iterations after which the plan is taken as it is.
        tol: error of the marginals at which the iterations end.
        descriptor: name of the descriptor whose centroids are compared.
    """

    def __init__(self,
                 reg: float = 5.0,
                 max_iters: int = 5000,
                 tol: float = 1e-5,
                 descriptor: str = 'base') -> None:
        super().__init__(descriptor)
        self.options = dict(reg=reg, max_iters=max_iters, tol=tol)

    def __call__(self, images: ImageSet, clusters: np.ndarray) -> ClusterMatch:
        """Match clusters by the transport between their centroids, see :class:`Associator`."""
        centroids = centroids_by_modality(
            images.descriptors[self.descriptor], clusters, images.modality)
        return optimal_transport_matching(*centroids, **self.options)[0]
