"""What heads that classify identities share."""

from collections.abc import Sequence

from torch import Tensor, nn

from mmvireid.structures import ReIDDataSample
from mmvireid.utils.errors import ConfigError, DatasetError

from .reid_head import ReIDHead


class IdentityHead(ReIDHead):
    """A head that learns from the labels of identities.

    Args:
        num_classes: C, identities of the training set.
        init_cfg: MMEngine's initialisation config.
    """

    #: Parts that descriptors do not come from: they depend on who is in the training set.
    training_only = ('classifier', )

    def __init__(self, num_classes: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes

    def check_batch(self, data_samples: Sequence[ReIDDataSample]) -> None:
        """Refuse a batch with an image that no class is for.

        Args:
            data_samples: the rows of this rank.

        Raises:
            DatasetError: if an image has no label.
            ConfigError: if a label is beyond the classifier, or a modality is missing that
                the head needs.
        """
        labels = [sample.get('label', -1) for sample in data_samples]
        if min(labels) < 0:
            path = data_samples[labels.index(min(labels))].img_path
            raise DatasetError(
                f'{path} has no label: train on the training split of the dataset.')
        largest = max(labels)
        if largest >= self.num_classes:
            raise ConfigError(
                f'the training set has label {largest}, but the head was built for '
                f'{self.num_classes} identities: set model.head.num_classes to the number of '
                'identities of the training set.')
        super().check_batch(data_samples)


def identity_classifier(in_channels: int, num_classes: int) -> nn.Linear:
    """Build a bias-free classifier, initialised with N(0, 0.001).

    Args:
        in_channels: D of the features.
        num_classes: C identities.

    Returns:
        Layer from shape ``(N, D)`` to ``(N, C)``.
    """
    classifier = nn.Linear(in_channels, num_classes, bias=False)
    nn.init.normal_(classifier.weight, std=0.001)
    return classifier


def accuracy(logits: Tensor, ids: Tensor) -> Tensor:
    """Compute the share of right classes.

    Args:
        logits: shape ``(N, C)``.
        ids: shape ``(N,)``.

    Returns:
        Scalar, in percent.
    """
    return (logits.detach().argmax(1) == ids).float().mean() * 100
