"""Wrong identities on purpose, for methods that learn in spite of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from mmvireid.config_check import unknown_key
from mmvireid.structures import Modality
from mmvireid.utils.errors import ConfigError, DatasetError

#: Draws for a modality until each of its identities keeps an image.
_MAX_DRAWS = 1000


def inject_label_noise(labels: np.ndarray,
                       rate: float,
                       *,
                       seed: int | Sequence[int],
                       candidates: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Give a share of the images the identity of somebody else.

    ``ceil(rate * N)`` images are chosen without replacement, and each gets an identity drawn
    uniformly from the candidates other than its own (Yang et al., "Learning with Twin Noisy
    Labels for Visible-Infrared Person Re-Identification", CVPR 2022). So exactly that
    many labels change.

    Args:
        labels: true identities of the images, shape ``(N,)``.
        rate: share of the images, 0 .. 1.
        seed: decides which images, and what they get.
        candidates: identities to draw from, shape ``(C,)``; None for those of ``labels``.

    Returns:
        The noisy labels of shape ``(N,)``, and which of them were changed, bool of shape
        ``(N,)``.

    Raises:
        ConfigError: if the rate is not a share.
        DatasetError: if there is no other identity to draw.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.datasets import inject_label_noise
        >>> labels = np.array([4, 4, 5, 5, 9, 9])
        >>> noisy, changed = inject_label_noise(labels, 0.5, seed=0)
        >>> int(changed.sum()), bool((noisy != labels)[changed].all())
        (3, True)
        >>> bool((noisy == labels)[~changed].all())
        True
    """
    labels = np.asarray(labels)
    if not 0 <= rate <= 1:
        raise ConfigError(
            f'the rate of label noise is the share of wrong labels, between 0 and 1, not {rate}.')
    names = np.unique(labels if candidates is None else candidates)
    rng = np.random.default_rng(seed)
    # The product may lie a hair above a whole number: 0.07 * 100 = 7.000000000000001.
    number = int(np.ceil(np.round(rate * len(labels), 9)))
    chosen = rng.choice(len(labels), size=number, replace=False)
    changed = np.zeros(len(labels), bool)
    changed[chosen] = True
    noisy = labels.copy()
    # Where an image's own identity stands among the candidates; past the end if it does not.
    place = np.searchsorted(names, labels[chosen])
    own = (place < len(names)) & (names[np.minimum(place, len(names) - 1)] == labels[chosen])
    others = len(names) - own
    if number and others.min() < 1:
        raise DatasetError(
            'label noise gives images the identity of somebody else, but there is one identity: '
            'add people or set the rate to 0.')
    # A uniform draw among the others: numbers from the own one upwards move up by one.
    drawn = rng.integers(others)
    noisy[chosen] = names[drawn + (own & (drawn >= place))]
    return noisy, changed


@dataclass(frozen=True)
class LabelNoise:
    """Wrong labels for a training set, the visible and the infrared ones drawn apart.

    A dataset takes the two fields as ``label_noise=dict(rate=0.2, seed=0)``
    (:class:`mmvireid.datasets.CrossModalityDataset`).

    Args:
        rate: share of the labels of either modality that are made wrong, 0 .. 1.
        seed: decides, with the modality, which labels are wrong and what they say. It is not
            the seed of the run, so that runs with several seeds share their wrong labels.
    """

    rate: float
    seed: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, float]) -> 'LabelNoise':
        """Read the fields from a config.

        Args:
            config: ``dict(rate=0.2, seed=0)``.

        Returns:
            The noise.

        Raises:
            ConfigError: if there is no rate, or a key that is no field.
        """
        known = [field.name for field in fields(cls)]
        for key in config:
            if key not in known:
                raise ConfigError(unknown_key('label_noise', key, known))
        if 'rate' not in config:
            raise ConfigError('label_noise needs a rate, for example label_noise.rate=0.2.')
        return cls(**config)

    def __call__(self, labels: np.ndarray, modalities: np.ndarray) -> np.ndarray:
        """Make labels wrong.

        An identity that would lose its last image of a modality is no longer known there, so
        the draw of that modality is repeated, from the true labels, until none does.

        Args:
            labels: true labels of the images, shape ``(N,)``, -1 where unknown; those stay.
            modalities: shape ``(N,)``, 0 visible, 1 infrared.

        Returns:
            Noisy labels, shape ``(N,)``.

        Raises:
            ConfigError: if the rate is not a share.
            DatasetError: if identities have too few images to keep one.
        """
        noisy = np.array(labels)
        for modality in Modality:
            rows = np.flatnonzero((np.asarray(modalities) == modality) & (noisy >= 0))
            if not len(rows):
                continue
            present = np.unique(noisy[rows])
            for draw in range(_MAX_DRAWS):
                drawn, _ = inject_label_noise(
                    noisy[rows], self.rate, seed=[self.seed, int(modality), draw])
                if len(np.unique(drawn)) == len(present):
                    noisy[rows] = drawn
                    break
            else:
                fewest = np.unique(noisy[rows], return_counts=True)[1].min()
                raise DatasetError(
                    f'label noise of rate {self.rate:g} leaves somebody without '
                    f'{modality.name.lower()} images in each of {_MAX_DRAWS} draws, where an '
                    f'identity has as few as {fewest}: lower the rate, or leave out identities '
                    'with so few images.')
        return noisy

    def record(self, labels: np.ndarray, noisy: np.ndarray) -> dict[str, float | int | str]:
        """Say what a run trains on, so that two runs can be told to share it.

        Args:
            labels: true labels, shape ``(N,)``.
            noisy: what :meth:`__call__` made of them, shape ``(N,)``.

        Returns:
            ``rate``, ``seed``, number of ``wrong`` labels, and ``sha256`` of the noisy labels.
        """
        digest = hashlib.sha256(np.ascontiguousarray(noisy, '<i8').tobytes()).hexdigest()
        return dict(rate=float(self.rate), seed=int(self.seed),
                    wrong=int((noisy != labels).sum()), sha256=digest)
