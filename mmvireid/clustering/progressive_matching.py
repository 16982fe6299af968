"""Progressive graph matching: one-to-one matchings, until every cluster has a partner."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from mmvireid.registry import TASK_UTILS
from mmvireid.structures import ImageSet
from mmvireid.utils.errors import ConfigError, InputError

from .matching import Array, Associator, ClusterMatch, matching_cost
from .prototypes import centroids_by_modality


def progressive_graph_matching(visible: Array,
                               infrared: Array,
                               *,
                               max_rounds: int | None = None) -> ClusterMatch:
    """Match clusters one to one, then those that are left with all of the smaller side again.

    The first step of PGM (CVPR 2023). The first round is the cheapest one-to-one assignment
    (:func:`matching_cost`) of all clusters of the modality with fewer of them, and sets both
    maps. Each further round assigns clusters of the other modality that are left, again one
    to one, and sets their map alone. So each cluster has a partner after
    ``ceil(larger / smaller)`` rounds, and none is chosen more than once in a round. The
    release stops after two, and gives wrong partners where there should be more.

    Args:
        visible: shape ``(Kv, D)`` float, centroids of any length, torch or numpy.
        infrared: shape ``(Ki, D)`` float.
        max_rounds: rounds after which to stop, so that clusters may be left alone; 1 is
            plain bipartite matching. None goes on until none is left.

    Returns:
        ClusterMatch: the partners; its notes have the number of ``rounds``.

    Raises:
        ConfigError: if ``max_rounds`` is less than 1.
        InputError: if a modality has no cluster, shapes do not agree or a value is not finite.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import progressive_graph_matching
        >>> visible = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]])
        >>> match = progressive_graph_matching(visible, np.array([[0.0, 1.0], [2.0, 0.0]]))
        >>> match.visible_to_infrared, match.infrared_to_visible, match.notes
        (array([1, 0, 1]), array([1, 0]), {'rounds': 2})
    """
    if max_rounds is not None and max_rounds < 1:
        raise ConfigError(f'max_rounds must be at least 1, or None for no limit, got {max_rounds}')
    cost = matching_cost(visible, infrared)
    if 0 in cost.shape:
        raise InputError('matching needs clusters of both modalities, got '
                         f'{cost.shape[0]} visible and {cost.shape[1]} infrared ones')
    more_infrared = cost.shape[1] > cost.shape[0]
    if more_infrared:
        cost = cost.T
    larger, smaller = (np.full(size, -1, dtype=np.int64) for size in cost.shape)
    rows, columns = linear_sum_assignment(cost)
    larger[rows], smaller[columns] = columns, rows
    rounds = 1
    while (larger < 0).any() and rounds != max_rounds:
        left = np.flatnonzero(larger < 0)
        # Rows of the result are positions among those that are left, and not all of them.
        rows, columns = linear_sum_assignment(cost[left])
        larger[left[rows]] = columns
        rounds += 1
    maps = (smaller, larger) if more_infrared else (larger, smaller)
    return ClusterMatch(*maps, notes={'rounds': rounds})


@TASK_UTILS.register_module()
class ProgressiveGraphMatching(Associator):
    """Match the clusters of the two modalities by :func:`progressive_graph_matching`.

    Args:
        max_rounds: rounds after which to stop; None goes on until every cluster has a
            partner.
        descriptor: name of the descriptor whose centroids are compared.
    """

    def __init__(self, max_rounds: int | None = None, descriptor: str = 'base') -> None:
        super().__init__(descriptor)
        if max_rounds is not None and max_rounds < 1:
            raise ConfigError(
                f'max_rounds must be at least 1, or None for no limit, got {max_rounds}')
        self.max_rounds = max_rounds

    def __call__(self, images: ImageSet, clusters: np.ndarray) -> ClusterMatch:
        """Match clusters by the cost between their centroids, see :class:`Associator`."""
        return progressive_graph_matching(
            *centroids_by_modality(
                images.descriptors[self.descriptor], clusters, images.modality),
            max_rounds=self.max_rounds)
