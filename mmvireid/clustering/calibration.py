"""Other labels for single images: those of the nearest reliable prototype."""

import logging

import numpy as np
import torch
from torch.nn import functional

from mmvireid.registry import TASK_UTILS
from mmvireid.search import topk
from mmvireid.search.topk import float_rows
from mmvireid.structures import ImageSet, Modality
from mmvireid.utils.errors import ConfigError, InputError
from mmvireid.utils.precision import full_precision

Array = np.ndarray | torch.Tensor

logger = logging.getLogger(__name__)

#: Rows of a cluster that are compared with the whole cluster at a time.
BLOCK = 2048


def calibrate_labels(features: Array,
                     labels: Array,
                     *,
                     num_reliable: int = 20,
                     threshold: float = 0.5) -> tuple[np.ndarray, torch.Tensor]:
    """Give each image the label of the nearest prototype of reliable images.

    The density of an image is the number of images of its cluster, itself included, that are
    more similar to it than the threshold, less the number of those that are less similar.
    The mean of the densest images of a cluster is its prototype, and each image is then
    taken for the cluster whose prototype has the largest cosine with it. Outliers stay
    outliers, and a cluster may lose all its images (RPNR, MM 2024, noisy pseudo-label
    calibration).

    Args:
        features: shape ``(N, D)`` float, images of one modality, of any length.
        labels: shape ``(N,)`` int, clusters 0 to K - 1, -1 for outliers.
        num_reliable: images that make a prototype; a smaller cluster gives all it has. Of
            equally dense ones the earlier image is taken.
        threshold: cosine above which two images are alike.

    Returns:
        tuple: labels of shape ``(N,)`` int64, and prototypes of shape ``(K, D)`` float32 on
        the device of ``features``, means that are not normalised.

    Raises:
        ConfigError: if ``num_reliable`` is below 1.
        InputError: if shapes do not agree, or there is no cluster, or one without images.

    Examples:
        >>> import torch
        >>> from mmvireid.clustering import calibrate_labels
        >>> angles = torch.tensor([0.0, 0.1, 0.2, 2.0, 2.1, 0.15, 4.0])
        >>> rows = torch.stack([angles.cos(), angles.sin()], 1)
        >>> labels = torch.tensor([0, 0, 0, 1, 1, 1, -1])
        >>> calibrate_labels(rows, labels, num_reliable=2)[0]  # the sixth image is one of 0
        array([ 0,  0,  0,  1,  1,  0, -1])
    """
    if num_reliable < 1:
        raise ConfigError(f'num_reliable must be at least 1, got {num_reliable}')
    rows = float_rows('features', features)
    density = cluster_density(rows, labels, threshold=threshold)
    labels = torch.as_tensor(labels).cpu().numpy()
    centres = []
    for cluster in range(labels.max() + 1):
        members = torch.from_numpy(np.flatnonzero(labels == cluster)).to(rows.device)
        order = density[members].argsort(descending=True, stable=True)
        centres.append(rows[members[order[:num_reliable]]].mean(0))
    prototypes = torch.stack(centres)
    kept = np.flatnonzero(labels >= 0)
    _, nearest = topk(functional.normalize(rows[torch.from_numpy(kept).to(rows.device)]),
                      functional.normalize(prototypes), 1)
    calibrated = np.full(len(labels), -1, dtype=np.int64)
    calibrated[kept] = nearest[:, 0].cpu().numpy()
    return calibrated, prototypes


def cluster_density(features: Array, labels: Array, *, threshold: float = 0.5) -> torch.Tensor:
    """Count how many images of its cluster each image is like, less those it is not like.

    Args:
        features: shape ``(N, D)`` float, of any length.
        labels: shape ``(N,)`` int, clusters 0 to K - 1, -1 for outliers.
        threshold: cosine above which two images are alike; equal to it counts as neither.

    Returns:
        torch.Tensor: shape ``(N,)`` int64 on the device of ``features``. An image is like
        itself; outliers have 0.

    Raises:
        InputError: if shapes do not agree, there is no cluster, or one has no image.
    """
    unit = functional.normalize(float_rows('features', features))
    labels = torch.as_tensor(labels).cpu().long()
    if labels.shape != unit.shape[:1]:
        raise InputError(f'{len(unit)} features got labels of shape {tuple(labels.shape)}')
    sizes = torch.bincount(labels[labels >= 0])
    if not len(sizes) or bool((sizes == 0).any()):
        raise InputError('density needs clusters numbered from 0 without gaps, got clusters of '
                         f'{sizes.tolist()} images')
    density = torch.zeros(len(unit), dtype=torch.int64, device=unit.device)
    # Outliers stand first, then images cluster by cluster.
    order = labels.argsort(stable=True).to(unit.device)
    with full_precision(unit):
        for members in order.split([int((labels < 0).sum()), *sizes.tolist()])[1:]:
            cluster = unit[members]
            # In blocks: a network that has collapsed puts everybody into one cluster.
            for part in members.split(BLOCK):
                alike = (unit[part] @ cluster.T - threshold).sign()
                density[part] = alike.sum(1).long()
    return density


@TASK_UTILS.register_module()
class PrototypeCalibration:
    """Refine labels by the prototypes of reliable images, in each modality apart.

    See :func:`calibrate_labels`. A cluster that loses all its images keeps its number, so
    nobody else's shifts; no image is drawn from it any more.

    Args:
        num_reliable: images that make a prototype.
        threshold: cosine above which two images are alike.
        descriptor: name of the descriptor that is compared.
    """

    def __init__(self,
                 num_reliable: int = 20,
                 threshold: float = 0.5,
                 descriptor: str = 'base') -> None:
        self.num_reliable = num_reliable
        self.threshold = threshold
        self.descriptor = descriptor

    def __call__(self, images: ImageSet, labels: np.ndarray) -> np.ndarray:
        """Calibrate.

        Args:
            images: the N images of the training set.
            labels: shape ``(N,)`` int, the cluster of each image, -1 for none.

        Returns:
            np.ndarray: shape ``(N,)`` int64, each image's number of a cluster that had
            images of its modality.
        """
        calibrated = np.array(labels, dtype=np.int64)
        for modality in Modality:
            rows = np.flatnonzero((images.modality == modality) & (labels >= 0))
            numbers, positions = np.unique(labels[rows], return_inverse=True)
            if not len(numbers):
                continue
            found, _ = calibrate_labels(
                images.descriptors[self.descriptor][rows], positions,
                num_reliable=self.num_reliable, threshold=self.threshold)
            calibrated[rows] = numbers[found]
            emptied = len(numbers) - len(np.unique(found))
            if emptied:
                logger.warning(
                    f'Calibration took all images of {emptied} of {len(numbers)} '
                    f'{modality.name.lower()} clusters for images of others: no image is drawn '
                    'from them in this epoch, their prototypes stay.')
        return calibrated
