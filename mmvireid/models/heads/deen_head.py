"""The head of DEEN: several branches of each image."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.dist import get_world_size
from torch import Tensor
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo, ReIDDataSample
from mmvireid.utils.errors import ConfigError

from ..losses import BranchOrthogonalityLoss, CenterGuidedPairMiningLoss
from ..losses.center_guided_pair_mining import check_identities
from ..utils import at_least_float32
from .bnneck_head import BNNeckHead


@MODELS.register_module()
class DEENHead(BNNeckHead):
    """Learn from an image and from what the network generates of it.

    The features are 1 + B rows for each image, the image's own first, as
    :class:`mmvireid.models.BranchPooling` gives them. All rows are examples of the image's
    identity for the classifier and for the batch-hard triplet loss, in which the branches of
    an image are each other's positives. Each generated branch is led to the other modality
    by :class:`mmvireid.models.CenterGuidedPairMiningLoss`, and the branches are kept apart
    by :class:`mmvireid.models.BranchOrthogonalityLoss` (DEEN, arXiv 2303.14481). Without
    generated branches this is :class:`BNNeckHead` with a triplet loss.

    Two images are compared by the cosines of every branch, before the batch normalisation
    (pooled) and after it (feature). A descriptor has all of them side by side, so that the
    cosine of two descriptors is the weighted mean of the single cosines.

    Args:
        num_classes: C, identities of the training set.
        in_channels: D of the pooled features.
        margin: of the triplet loss.
        pair_mining_weight: factor of the pair mining of each branch; 0 leaves it out.
        pair_mining_margin: its margin.
        orthogonality_weight: factor of the orthogonality of the branches; 0 leaves it out.
        descriptors: name -> (weight of the pooled cosines, weight of those of the features);
            None for ``dict(base=(0.5, 0.5))``, the plain sum by which the release selects.
            It prints ``(0.1, 0.9)`` too.
        label_smoothing: of the cross-entropy.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ConfigError: if weights of a descriptor are negative, or none is positive, or there is
            no ``base``.

    Examples:
        >>> import torch
        >>> from mmvireid.models import DEENHead
        >>> from mmvireid.structures import BatchInfo
        >>> head = DEENHead(num_classes=10, in_channels=8)
        >>> info = BatchInfo(modality=torch.tensor([0, 0, 1, 1]), label=torch.tensor([3, 7, 3, 7]))
        >>> sorted(head.loss(torch.rand(4, 3, 8), info))
        ['accuracy', 'loss_ce', 'loss_metric', 'loss_orthogonality', 'loss_pair_mining']
        >>> head.eval().predict(torch.rand(1, 3, 8))['base'].shape
        torch.Size([1, 48])
    """

    descriptor_options = ('descriptors', )

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 margin: float = 0.3,
                 pair_mining_weight: float = 0.8,
                 pair_mining_margin: float = 0.2,
                 orthogonality_weight: float = 0.01,
                 descriptors: Mapping[str, tuple[float, float]] | None = None,
                 label_smoothing: float = 0.0,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            num_classes, in_channels, dict(type='TripletLoss', margin=margin), label_smoothing,
            init_cfg)
        self.pair_mining = self.orthogonality = None
        if pair_mining_weight:
            self.pair_mining = CenterGuidedPairMiningLoss(pair_mining_margin, pair_mining_weight)
        if orthogonality_weight:
            self.orthogonality = BranchOrthogonalityLoss(orthogonality_weight)
        self.requires_both_modalities = self.pair_mining is not None
        self.descriptors = {
            name: tuple(weights) for name, weights in (descriptors or {'base': (0.5, 0.5)}).items()
        }
        for name, weights in self.descriptors.items():
            if len(weights) != 2 or min(weights) < 0 or max(weights) == 0:
                raise ConfigError(
                    f'head.descriptors.{name} needs two weights, of the pooled cosines and of '
                    f'those of the features, not negative and not both zero, got {weights}')
        if 'base' not in self.descriptors:
            raise ConfigError(
                f'head.descriptors has {list(self.descriptors)}, but needs a "base", which tools '
                'take unless they are told otherwise')

    def check_batch(self, data_samples: Sequence[ReIDDataSample]) -> None:
        """Refuse a batch with an image that no class is for, or with nothing to mine.

        Args:
            data_samples: the rows of this rank.

        Raises:
            DatasetError: if an image has no label.
            ConfigError: if a label is beyond the classifier, or a modality is missing.
            InputError: if there is one identity only.
        """
        super().check_batch(data_samples)
        # Several processes never draw the same people.
        if self.pair_mining is not None and get_world_size() == 1:
            info = BatchInfo.from_samples(data_samples)
            check_identities(info.label, info.modality)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits.

        Args:
            pooled: shape ``(N, 1 + B, D)``.

        Returns:
            Normalised features of shape ``(N, 1 + B, D)`` and logits of shape
            ``(N, 1 + B, C)``. The statistics of the normalisation are of all rows together.
        """
        feature = self.bnneck(pooled.flatten(0, 1)).unflatten(0, pooled.shape[:2])
        return feature, self.classifier(feature)

    def loss_by_feat(self, pooled: Tensor, logits: Tensor, info: BatchInfo) -> dict[str, Tensor]:
        """Compute the losses from what :meth:`forward` gives.

        Args:
            pooled: shape ``(N, 1 + B, D)``.
            logits: shape ``(N, 1 + B, C)``.
            info: of the N images.

        Returns:
            ``loss_ce`` and ``loss_metric`` over all rows; ``loss_pair_mining``, the sum over
            the generated branches, and ``loss_orthogonality``, both weighted, where there is
            anything generated and their weight is not zero; ``accuracy`` of all rows in
            percent.
        """
        num_images, num_branches = pooled.shape[:2]
        images = torch.arange(num_images, device=pooled.device)
        losses = super().loss_by_feat(
            pooled.flatten(0, 1), logits.flatten(0, 1),
            info[images.repeat_interleave(num_branches)])
        original, *generated = pooled.unbind(1)
        if self.pair_mining is not None and generated:
            losses['loss_pair_mining'] = sum(
                self.pair_mining(original, branch, info.label, info.modality)
                for branch in generated)
        if self.orthogonality is not None and generated:
            losses['loss_orthogonality'] = self.orthogonality(pooled)
        return losses

    def predict(self, pooled: Tensor) -> dict[str, Tensor]:
        """Compute the descriptors of each image.

        Args:
            pooled: shape ``(N, 1 + B, D)``.

        Returns:
            Name -> L2-normalised rows of shape ``(N, 2 (1 + B) D)``, half as wide where one
            of the two weights is zero.
        """
        feature = self.bnneck(pooled.flatten(0, 1)).unflatten(0, pooled.shape[:2])
        units = [functional.normalize(at_least_float32(x), dim=2) for x in (pooled, feature)]
        # A weight enters the product of two descriptors twice, hence the root. The square of a
        # descriptor's length is the sum of the weights, once for each branch.
        return {
            name: torch.cat(
                [unit.flatten(1) * (weight / sum(weights) / pooled.shape[1])**0.5
                 for unit, weight in zip(units, weights) if weight], dim=1)
            for name, weights in self.descriptors.items()
        }
