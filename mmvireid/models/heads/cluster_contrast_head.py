"""Contrast with the prototypes of clusters, for training on pseudo labels."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from mmvireid.config_check import unknown_key
from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo, Modality, PseudoLabels, Term
from mmvireid.utils.errors import ConfigError, InputError, UsageError

from ..memories import ClusterMemory
from ..necks import BNNeck
from ..utils import at_least_float32
from .reid_head import ReIDHead


class _SparseRows:
    """Rows of a sparse matrix, a few entries each, to be picked on any device.

    Stored as one table of columns and one of values, both as wide as the fullest row and
    filled up with zeros, because PyTorch cannot index rows of a sparse tensor without
    waiting for the GPU.
    """

    def __init__(self, matrix: sparse.csr_matrix, device: torch.device) -> None:
        sizes = np.diff(matrix.indptr)
        places = np.arange(sizes.max(initial=0)) < sizes[:, None]
        columns, values = np.zeros(places.shape, np.int64), np.zeros(places.shape, np.float32)
        columns[places], values[places] = matrix.indices, matrix.data
        self.num_columns = matrix.shape[1]
        self.columns = torch.from_numpy(columns).to(device)
        self.values = torch.from_numpy(values).to(device)

    def __getitem__(self, rows: Tensor) -> Tensor:
        dense = self.values.new_zeros(len(rows), self.num_columns)
        # Added, not written: a filler adds nothing to column 0, which a row may have too.
        return dense.scatter_add_(1, self.columns[rows], self.values[rows])


class _LoadedTerm:
    """A term on the device of the model, of which the rows of a batch are taken."""

    def __init__(self, term: Term, device: torch.device) -> None:
        self.term = term
        self.targets = term.targets.to(device)
        self.weights = None if term.image_weights is None else term.image_weights.to(device)
        self.soft = None if term.soft_targets is None else _SparseRows(term.soft_targets, device)

    def options(self, info: BatchInfo) -> dict[str, Tensor | None]:
        """Take the soft labels and weights of the rows, None where there are none."""
        return {'soft_labels': None if self.soft is None else self.soft[info.index],
                'weights': None if self.weights is None else self.weights[info.index]}

    def groups(self, info: BatchInfo) -> list[tuple[str, Tensor]]:
        """List the losses, each with the targets of the rows that it is of."""
        targets = self.targets[info.index]
        if self.term.loss is not None:
            return [(self.term.loss, targets)]
        return [(value.name.lower(), torch.where(info.modality == value, targets, -1))
                for value in Modality]


@dataclass
class _Branch:
    """One way of labelling: what its memories are, what they hold, what is compared."""

    memory: dict
    loss_weight: float = 1.0
    cross_gradient: str = 'fixed'
    memories: Mapping[str, dict] | None = None
    losses: Mapping[str, dict] | None = None

    def __post_init__(self) -> None:
        if self.cross_gradient not in ('fixed', 'moved'):
            raise ConfigError(
                f"cross_gradient must be 'fixed' or 'moved', got {self.cross_gradient!r}")
        self.feature_losses = {
            name: MODELS.build(cfg) for name, cfg in (self.losses or {}).items()}
        self.filled: dict[str, ClusterMemory] = {}
        self.descriptors: dict[str, str] = {}
        self.terms: list[_LoadedTerm] = []

    def reset(self, labels: PseudoLabels, device: torch.device) -> None:
        """Fill the memories anew."""
        self.filled, self.descriptors = {}, {}
        for name, prototypes in labels.prototypes.items():
            memory = MODELS.build((self.memories or {}).get(name, self.memory))
            groups = None if prototypes.groups is None else prototypes.groups.to(device)
            memory.reset(prototypes.centroids.to(device), groups, prototypes.normalize)
            self.filled[name], self.descriptors[name] = memory, prototypes.descriptor
        self.terms = [_LoadedTerm(term, device) for term in labels.terms]


@MODELS.register_module()
class ClusterContrastHead(ReIDHead):
    """Compare the features after a BNNeck with memories of cluster prototypes.

    A *branch* is one way of labelling the training set, with memories of its own. BMIL
    (arXiv 2512.07760) has two: ``intra``, clusters of each modality by itself, and
    ``cross``, global clusters split by modality. A batch was drawn from one branch.
    Identities are never read.

    Before an epoch a hook hands the pseudo labels of all branches over (:meth:`reset`): what
    the memories start with, and the terms of the loss, each of them images that are
    compared with a memory (:class:`mmvireid.structures.Term`). A batch brings the index of
    each image in the dataset, by which its prototype is looked up here, in the main
    process: pseudo labels never travel through the data-loading processes, where they
    could be those of the last epoch. After the backward pass the hook moves the
    prototypes (:meth:`update_memories`).

    The descriptor is the feature after the BNNeck, L2-normalised.

    Args:
        in_channels: D of the pooled features.
        branches: name -> dict of

            * ``memory``: config of the branch's memories, for example
              ``dict(type='ClusterMemory', mode='hybrid')``;
            * ``loss_weight``: factor of all its losses, 1.0;
            * ``cross_gradient``: where one term moves a memory that a later term of the
              step is compared with, ``'fixed'`` (default) gives the later one the gradient
              of its loss, ``'moved'`` that of several releases, which is formed with the
              moved prototypes (see :meth:`ClusterMemory.loss`). The value of the loss and
              the updates are the same;
            * ``memories``: memory name -> config in place of ``memory``;
            * ``losses``: name -> config of a loss ``(features (N, D)) -> scalar`` on the
              features of each modality by itself, without labels.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ConfigError: for a branch with an unknown key, or an unknown ``cross_gradient``.
    """

    #: Names of parts in checkpoints of earlier versions -> those of today.
    renamed_parts = {'neck': 'bnneck'}

    def __init__(self,
                 in_channels: int,
                 branches: Mapping[str, dict],
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.bnneck = BNNeck(in_channels)
        known = [field.name for field in fields(_Branch)]
        for name, cfg in branches.items():
            for key in cfg:
                if key not in known:
                    raise ConfigError(unknown_key(f'model.head.branches.{name}', key, known))
        self._branches = {name: _Branch(**cfg) for name, cfg in branches.items()}
        self._updates: list[tuple[ClusterMemory, Tensor, Tensor]] | None = None

    @property
    def branch_names(self) -> tuple[str, ...]:
        """Names of the branches that the head has memories for."""
        return tuple(self._branches)

    def memories(self, branch: str) -> dict[str, ClusterMemory]:
        """Return the memories of a branch.

        Args:
            branch: its name.

        Returns:
            Memory name -> memory, empty before the first :meth:`reset`.
        """
        return self._branches[branch].filled

    def reset(self, found: Mapping[str, PseudoLabels]) -> None:
        """Fill the memories anew.

        Args:
            found: branch -> its pseudo labels in this epoch.

        Raises:
            InputError: if the head has no such branch.
        """
        for name, labels in found.items():
            if name not in self._branches:
                raise InputError(
                    f'the head has no branch "{name}", only {sorted(self._branches)}: name the '
                    'same branches in model.head and in the pseudo-label hook')
            self._branches[name].reset(labels, self.bnneck.weight.device)

    def loss(self, features: Tensor | dict[str, Tensor], info: BatchInfo) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            features: shape ``(N, D)``, the batch of all ranks; of several tensors by name,
                ``base`` goes through the BNNeck and the others are compared as they are.
            info: of the N rows: the branch, each image's index and modality are read.

        Returns:
            ``loss_<branch>_<name>`` for the name of each loss of the terms.

        Raises:
            UsageError: if no memory was filled for the branch.
        """
        if isinstance(features, Tensor):
            return self.contrast(self.bnneck(features), info)
        return self.contrast({**features, 'base': self.bnneck(features['base'])}, info)

    def contrast(self, features: Tensor | dict[str, Tensor],
                 info: BatchInfo) -> dict[str, Tensor]:
        """Compute the losses of features after the BNNeck.

        All values are those of the memories before the step.

        Args:
            features: shape ``(N, D)``, or such tensors by the name of their descriptor.
            info: see :meth:`loss`.

        Returns:
            Scalars, see :meth:`loss`.

        Raises:
            UsageError: if no memory was filled for the branch.
        """
        branch = self._branches.get(info.branch)
        if branch is None or not branch.filled:
            raise UsageError(
                'no pseudo labels have been set: training with ClusterContrastHead needs a '
                'PseudoLabelHook')
        named = {'base': features} if isinstance(features, Tensor) else features
        losses: dict[str, Tensor] = {}
        # What the terms so far will have made of the memories, where a later term asks.
        moved: dict[str, ClusterMemory] = {}
        self._updates = []
        for loaded in branch.terms:
            term, memory = loaded.term, branch.filled[loaded.term.memory]
            rows = named[branch.descriptors[term.memory]]
            options = {**loaded.options(info), 'moved': moved.get(term.memory)}
            options = {name: value for name, value in options.items() if value is not None}
            for name, targets in loaded.groups(info):
                value = memory.loss(rows, targets, **options)
                losses[name] = losses.get(name, 0) + term.weight * value
            if term.moves:
                # Detached: the graph may be freed before the update, which needs values only.
                update = (rows.detach(), loaded.targets[info.index])
                self._updates.append((memory, *update))
                if branch.cross_gradient == 'moved':
                    moved[term.memory] = copy(moved.get(term.memory, memory))
                    moved[term.memory].update(*update)
        for name, loss in branch.feature_losses.items():
            losses[name] = sum(
                loss(named['base'][info.modality == value]) for value in Modality)
        return {f'loss_{info.branch}_{name}': branch.loss_weight * loss
                for name, loss in losses.items()}

    def update_memories(self) -> None:
        """Move the prototypes towards the batch of the last loss, in the order of the terms.

        To be called once per batch, after the backward pass.

        Raises:
            UsageError: without a loss since the last update.
        """
        if self._updates is None:
            raise UsageError('update_memories needs a loss to have been computed before')
        for memory, features, targets in self._updates:
            memory.update(features, targets)
        self._updates = None

    def predict(self, features: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the descriptor of each image.

        Args:
            features: shape ``(N, D)``, or several tensors of which ``base`` is taken.

        Returns:
            ``base``, L2-normalised rows of shape ``(N, D)``.
        """
        pooled = features if isinstance(features, Tensor) else features['base']
        return {'base': functional.normalize(at_least_float32(self.bnneck(pooled)))}
