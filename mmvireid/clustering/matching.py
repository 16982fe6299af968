"""Which visible and which infrared clusters are the same person."""

from dataclasses import dataclass

import numpy as np

from mmvireid.utils.errors import ConfigError


@dataclass(frozen=True, eq=False)
class ClusterMatch:
    """The partner of each cluster in the other modality.

    There are two maps because a partner need not be mutual: with more visible clusters
    than infrared ones several visible clusters may share an infrared one, which has a
    partner of its own choice. Cluster k of a modality is the one with its k-th label in
    ascending order.

    Args:
        visible_to_infrared: shape ``(Kv,)`` int64, the infrared cluster of each visible one,
            -1 for none.
        infrared_to_visible: shape ``(Ki,)`` int64, the visible cluster of each infrared one,
            -1 for none.

    Raises:
        ConfigError: if a map points to a cluster that there is not.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import ClusterMatch
        >>> match = ClusterMatch(np.array([0, 1, 1]), np.array([0, 2]))
        >>> match.visible_to_infrared[match.infrared_to_visible]
        array([0, 1])
    """

    visible_to_infrared: np.ndarray
    infrared_to_visible: np.ndarray

    def __post_init__(self) -> None:
        maps = (self.visible_to_infrared, self.infrared_to_visible)
        for own, other, name in (*zip(maps, maps[::-1], ('visible', 'infrared')), ):
            if len(own) and not (own.min() >= -1 and own.max() < len(other)):
                raise ConfigError(f'partners of {name} clusters must be -1 or one of the '
                                  f'{len(other)} clusters of the other modality, got {own}')


def join_matched(labels: np.ndarray, modality: np.ndarray, match: ClusterMatch) -> np.ndarray:
    """Give each visible cluster the number of its infrared partner.

    Visible clusters without a partner, and infrared clusters that nobody has chosen, stay
    clusters of one modality.

    Args:
        labels: shape ``(N,)`` int, separate clusters of the two modalities, -1 for images
            in no cluster.
        modality: shape ``(N,)`` int, 0 visible, 1 infrared.
        match: the partners.

    Returns:
        np.ndarray: shape ``(N,)`` int64, numbered from 0 without gaps, -1 as before.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import ClusterMatch, join_matched
        >>> labels, modality = np.array([0, 1, 2, 3, 4]), np.array([0, 0, 0, 1, 1])
        >>> join_matched(labels, modality, ClusterMatch(np.array([1, -1, 1]), np.array([-1, 0])))
        array([2, 0, 2, 1, 2])
    """
    joined = np.array(labels, dtype=np.int64)
    visible, infrared = (
        np.unique(labels[(modality == value) & (labels >= 0)]) for value in (0, 1))
    for own, partner in zip(visible, match.visible_to_infrared):
        if partner >= 0:
            joined[(labels == own) & (modality == 0)] = infrared[partner]
    kept = joined >= 0
    joined[kept] = np.unique(joined[kept], return_inverse=True)[1]
    return joined
