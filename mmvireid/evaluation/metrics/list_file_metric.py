"""A metric for people's own footage."""

from typing import Any

import numpy as np

from mmvireid.evaluation.functional import RANKING_PROTOCOLS
from mmvireid.registry import METRICS
from mmvireid.structures import ImageSet, Modality
from mmvireid.utils.errors import ConfigError, EvaluationError

from .base import CrossModalityMetric, Trial


@METRICS.register_module()
class ListFileMetric(CrossModalityMetric):
    """Rank all images of the other modality, for a :class:`ListFileDataset`.

    Images of unknown identity (-1) are no queries; in the gallery they are distractors.

    Args:
        protocol: rules of the ranking; 'regdb' (image-level CMC, every image counts),
            'sysu' or 'llcm' (CMC over identities; the latter also drops the query's
            identity under its own camera).
        **kwargs: those of :class:`CrossModalityMetric`; settings are ``i2v`` (infrared
            query, visible gallery) and ``v2i``.
    """

    default_prefix = 'own'
    SETTINGS = {
        'i2v': 'infrared query, visible gallery',
        'v2i': 'visible query, infrared gallery',
    }

    def __init__(self, protocol: str = 'regdb', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if protocol not in RANKING_PROTOCOLS:
            raise ConfigError(
                f'protocol is one of {", ".join(RANKING_PROTOCOLS)}, not "{protocol}"')
        self.protocol = protocol

    def trials(self, images: ImageSet, setting: str) -> list[Trial]:
        """Give the one query set and gallery of a direction.

        Raises:
            EvaluationError: if the protocol compares cameras and some are unknown.
        """
        if self.protocol == 'llcm' and (images.camera == 0).any():
            raise EvaluationError(
                'the protocol "llcm" drops a person under the same camera, but some cameras of '
                'the list are unknown: add the camera column, or use protocol="regdb".')
        visible, infrared = (np.flatnonzero(images.modality == m) for m in Modality)
        query, gallery = (visible, infrared) if setting == 'v2i' else (infrared, visible)
        return [Trial('all', query[images.identity[query] >= 0], gallery)]
