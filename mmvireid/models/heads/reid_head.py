"""What every head offers."""

from abc import abstractmethod
from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor

from mmvireid.structures import BatchInfo, Modality, ReIDDataSample
from mmvireid.utils.errors import ConfigError


class ReIDHead(BaseModule):
    """Turn the features of a batch into losses, and features into descriptors.

    ``features`` is what the neck gives: one tensor of shape ``(N, ...)``, or a dict of such
    tensors by name, if the neck is one that names them. In training the rows are those of
    all ranks, visible images first.

    A loss averages over the rows, so that it does not depend on how many processes there
    are. Every trained parameter must take part in every batch: distributed training waits
    for all gradients (``find_unused_parameters = True`` in a config lifts that, and costs
    time).

    Args:
        init_cfg: MMEngine's initialisation config.

    Examples:
        A head that pulls each image to the mean of its identity, and nothing else.

        >>> import torch
        >>> from torch.nn import functional
        >>> from mmvireid.models import ReIDHead
        >>> from mmvireid.structures import BatchInfo
        >>> class MeanHead(ReIDHead):
        ...     def loss(self, features, info):
        ...         same = (info.label[:, None] == info.label).float()
        ...         means = same @ features / same.sum(1, keepdim=True)
        ...         return dict(loss_mean=(features - means).square().sum(1).mean())
        ...     def predict(self, features):
        ...         return dict(base=functional.normalize(features))
        >>> info = BatchInfo(modality=torch.tensor([0, 1, 1]), label=torch.tensor([4, 4, 5]))
        >>> MeanHead().loss(torch.tensor([[0., 0.], [2., 0.], [7., 7.]]), info)
        {'loss_mean': tensor(0.6667)}
    """

    #: Whether a batch must hold visible and infrared images.
    requires_both_modalities = False
    #: Parts that descriptors do not come from: where they differ, a checkpoint can still be
    #: tested, and an index stays valid.
    training_only: tuple[str, ...] = ()
    #: Keys of the config that descriptors depend on, beside the weights.
    descriptor_options: tuple[str, ...] = ()

    def check_batch(self, data_samples: Sequence[ReIDDataSample]) -> None:
        """Refuse a batch that lacks what the losses need.

        Called before the forward pass, while everything is known to the CPU: the same
        check on a GPU's tensors would make it wait.

        Args:
            data_samples: the rows of this rank.

        Raises:
            ConfigError: if the head needs both modalities and one is missing.
        """
        if not self.requires_both_modalities:
            return
        present = {sample.modality for sample in data_samples}
        for modality in Modality:
            if modality not in present:
                raise ConfigError(
                    f'{type(self).__name__} learns from images of both modalities at once, but a '
                    f'batch of {len(data_samples)} images has no {modality.name.lower()} one: use '
                    'a sampler that draws both for each identity.')

    @abstractmethod
    def loss(self, features: Tensor | dict[str, Tensor], info: BatchInfo) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            features: shape ``(N, ...)``, or several such tensors by name.
            info: all that is known of the N rows.

        Returns:
            Scalars by name; those with ``loss`` in their name are added up and minimised,
            the others are for the log.
        """

    @abstractmethod
    def predict(self, features: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the descriptors of images, each by itself.

        Args:
            features: shape ``(N, ...)``, or several such tensors by name.

        Returns:
            Descriptor name -> rows of shape ``(N, D)``, L2-normalised; ``base`` is always
            among them.
        """
