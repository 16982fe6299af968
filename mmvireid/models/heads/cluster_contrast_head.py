"""Contrast with the prototypes of clusters, for training on pseudo labels."""

from typing import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo, Modality

from ..memories import ClusterMemory
from ..necks import BNNeck
from ..utils import at_least_float32
from .reid_head import ReIDHead


class _Branch:
    """The memories of one way of labelling, and which prototype each image belongs to."""

    def __init__(self, memory: dict, loss_weight: float = 1.0) -> None:
        self.memory_cfg = memory
        self.loss_weight = loss_weight
        self.memories: list[ClusterMemory] = []
        self.targets: list[Tensor] = []
        self.modalities: list[int | None] = []


@MODELS.register_module()
class ClusterContrastHead(ReIDHead):
    """Compare the features after a BNNeck with memories of cluster prototypes.

    A *branch* is one way of labelling the training set, with memories of its own. BMIL
    (arXiv 2512.07760) has two: ``intra``, clusters of each modality by itself, and
    ``cross``, global clusters split by modality. A batch was drawn from one branch.
    Identities are never read.

    Before an epoch a hook fills the memories (:meth:`reset`). A batch brings the index of
    each image in the dataset, by which its prototype is looked up here, in the main
    process: pseudo labels never travel through the data-loading processes, where they
    could be those of the last epoch. After the backward pass the hook moves the
    prototypes (:meth:`update_memories`).

    The loss of a branch is the sum over the modalities of the mean over their images.
    The descriptor is the feature after the BNNeck, L2-normalised.

    Args:
        in_channels: D of the pooled features.
        branches: name -> ``dict(memory=dict(type='ClusterMemory', ...), loss_weight=1.0)``.
        init_cfg: MMEngine's initialisation config.
    """

    #: Names of parts in checkpoints of earlier versions -> those of today.
    renamed_parts = {'neck': 'bnneck'}

    def __init__(self,
                 in_channels: int,
                 branches: Mapping[str, dict],
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.bnneck = BNNeck(in_channels)
        self._branches = {name: _Branch(**cfg) for name, cfg in branches.items()}
        self._seen: tuple[Tensor, list[Tensor], _Branch] | None = None

    @property
    def branch_names(self) -> tuple[str, ...]:
        """Names of the branches that the head has memories for."""
        return tuple(self._branches)

    def reset(self, branch: str, plans: Sequence) -> None:
        """Fill the memories of a branch anew.

        Args:
            branch: its name.
            plans: a :class:`mmvireid.clustering.MemoryPlan` for each memory.

        Raises:
            ValueError: if the head has no such branch.
        """
        if branch not in self._branches:
            raise ValueError(
                f'the head has no branch "{branch}", only {sorted(self._branches)}: name the '
                'same branches in model.head and in the pseudo-label hook')
        found = self._branches[branch]
        # The model gathers the batch of all ranks before the loss, so that a memory which
        # gathered by itself would see each image once per rank.
        found.memories = [
            MODELS.build({**found.memory_cfg, 'gather': False}) for _ in plans]
        device = self.bnneck.weight.device
        for memory, plan in zip(found.memories, plans):
            memory.reset(plan.centroids.to(device),
                         None if plan.groups is None else plan.groups.to(device))
        found.targets = [plan.targets.to(device) for plan in plans]
        found.modalities = [plan.modality for plan in plans]

    def loss(self, pooled: Tensor, info: BatchInfo) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            pooled: shape ``(N, D)``, the batch of all ranks.
            info: of the N rows: the branch, each image's index and modality are read.

        Returns:
            ``loss_<branch>_visible`` and ``loss_<branch>_infrared``.

        Raises:
            RuntimeError: if no memory was filled for the branch.
        """
        branch = self._branches.get(info.branch)
        if branch is None or not branch.memories:
            raise RuntimeError(
                'no pseudo labels have been set: training with ClusterContrastHead needs a '
                'PseudoLabelHook')
        features = self.bnneck(pooled)
        targets = [table[info.index] for table in branch.targets]
        # A tensor of its own: the graph may be freed, the update needs values only.
        self._seen = (features.detach(), targets, branch)
        losses = {}
        for value in Modality:
            parts = [
                memory(features, torch.where(info.modality == value, own, -1))
                for memory, own, only in zip(branch.memories, targets, branch.modalities)
                if only is None or only == value
            ]
            if parts:
                losses[f'loss_{info.branch}_{value.name.lower()}'] = (
                    branch.loss_weight * sum(parts))
        return losses

    def update_memories(self) -> None:
        """Move the prototypes towards the batch of the last loss.

        To be called once per batch, after the backward pass.

        Raises:
            RuntimeError: without a loss since the last update.
        """
        if self._seen is None:
            raise RuntimeError('update_memories needs a loss to have been computed before')
        features, targets, branch = self._seen
        for memory, own in zip(branch.memories, targets):
            memory.update(features, own)
        self._seen = None

    def predict(self, pooled: Tensor) -> dict[str, Tensor]:
        """Compute the descriptor of each image.

        Args:
            pooled: shape ``(N, D)``.

        Returns:
            ``base``, L2-normalised rows of shape ``(N, D)``.
        """
        return {'base': functional.normalize(at_least_float32(self.bnneck(pooled)))}
