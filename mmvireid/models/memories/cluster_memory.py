"""One or two prototypes of each cluster, and the losses against them."""

from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS

from ..utils import at_least_float32, gather_rows, unit_rows, without_autocast

#: Mode -> names of its blocks of prototypes, in the order in which they are stacked.
BLOCKS = {'mean': ('mean', ), 'hard': ('hard', ), 'hybrid': ('mean', 'hard')}

#: Label of an image that belongs to no cluster.
OUTLIER = -1


@MODELS.register_module()
class ClusterMemory(nn.Module):
    """Hold unit prototypes of clusters, compare images with them, move them.

    * ``'mean'``: a prototype follows the mean of its cluster's images in the batch.
    * ``'hard'``: it follows the image least similar to it, as PGM's memory does.
    * ``'hybrid'``: one of each, as in PCLHD, RPNR and BMIL (arXiv 2512.07760). The hard
      one follows the image least similar to the *mean* one.

    With ``scores = unit feature · prototype / temperature``, the loss of a block of
    prototypes is

    * without groups: cross-entropy, ``max(0, CE - margin)`` for mean prototypes. In
      ``'hybrid'`` mode the two blocks count half each. ADCA, PGM and the paper of BMIL
      have no margin: set it to 0;
    * with groups, the clusters that modality prototypes belong to: the mean of
      ``-log softmax`` over all prototypes of the image's group. The softmax is over
      these and the highest-scoring other prototypes, ``num_candidates`` in all or as
      many as there are. Each block finds its own, and there is no margin.

    An update sets ``prototype = momentum * prototype + (1 - momentum) * new``, scaled
    to unit length, for the clusters in the batch.

    An image with label -1 (outlier, or cluster without a partner) has no part in the
    loss or in an update; a batch with no other images has the loss 0 and changes
    nothing.

    The prototypes are an ordinary attribute rather than a buffer. Their number changes
    each epoch, which breaks weight averaging (``EMAHook``) and loading if they are in
    the tree of modules; they are made anew from the weights, so no checkpoint needs
    them. They move to the device of the features by themselves. An update replaces
    the tensor, so that a backward pass after it still sees the prototypes that the
    loss has seen.

    Args:
        mode: 'mean', 'hard' or 'hybrid'.
        temperature: divisor of the scores.
        momentum: share of the old prototype in the new one; 0.1 keeps a tenth.
        margin: of the mean term of the loss without groups.
        num_candidates: prototypes in the softmax of the loss with groups.
        mean_update: how mean prototypes follow a batch. 'cluster': one step to the
            mean of the images. 'sample': a step to each image after the other in the
            order of the batch, as in ADCA, so the last images count most; the number
            of steps is read from the labels, for which a GPU waits.
        gather: update from the batches of all ranks, rank 0 first. False if the
            features given to :meth:`update` already come from all ranks.

    Raises:
        ValueError: if an argument is unknown or out of range.
    """

    #: Unit rows of shape ``(B * K, D)``: K mean prototypes, then K hard ones, as far as
    #: the mode has them.
    prototypes: Tensor
    #: Shape ``(K,)``, the group of each prototype, or None.
    groups: Optional[Tensor]

    def __init__(self,
                 mode: str = 'mean',
                 temperature: float = 0.05,
                 momentum: float = 0.1,
                 margin: float = 0.2,
                 num_candidates: int = 50,
                 mean_update: str = 'cluster',
                 gather: bool = True) -> None:
        super().__init__()
        if mode not in BLOCKS:
            raise ValueError(f'mode must be one of {list(BLOCKS)}, got {mode!r}')
        if mean_update not in ('cluster', 'sample'):
            raise ValueError(f"mean_update must be 'cluster' or 'sample', got {mean_update!r}")
        if mean_update == 'sample' and mode == 'hard':
            raise ValueError("mode='hard' has no mean prototypes that mean_update could concern")
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        if not 0 <= momentum <= 1:
            raise ValueError(f'momentum must be between 0 and 1, got {momentum}')
        if num_candidates < 1:
            raise ValueError(f'num_candidates must be at least 1, got {num_candidates}')
        self.mode = mode
        self.temperature = temperature
        self.momentum = momentum
        self.margin = margin
        self.num_candidates = num_candidates
        self.mean_update = mean_update
        self.gather = gather
        self.prototypes = torch.empty(0, 0)
        self.groups = None

    @property
    def num_prototypes(self) -> int:
        """Number K of labels, which a hybrid memory stores two rows for."""
        return len(self.prototypes) // len(BLOCKS[self.mode])

    @torch.no_grad()
    def reset(self, centroids: Tensor, groups: Optional[Tensor] = None) -> None:
        """Start from the centroids of new clusters.

        Args:
            centroids: shape ``(K, D)``, of any length.
            groups: shape ``(K,)`` int, the global cluster of each modality prototype;
                :meth:`forward` is then the multi-positive loss.

        Raises:
            ValueError: if there is no centroid or the shapes do not fit.
        """
        if centroids.ndim != 2 or len(centroids) == 0:
            raise ValueError('a memory needs centroids of shape (K, D) with K > 0, '
                             f'got {tuple(centroids.shape)}')
        if groups is not None and groups.shape != centroids.shape[:1]:
            raise ValueError(f'{len(centroids)} centroids got groups of shape '
                             f'{tuple(groups.shape)}')
        unit = unit_rows(at_least_float32(centroids.detach()))
        # A copy: later changes of the caller's tensors must not reach the memory.
        self.prototypes = unit.repeat(len(BLOCKS[self.mode]), 1)
        self.groups = None if groups is None else groups.detach().clone().to(unit.device)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            features: shape ``(N, D)``, of any length: they are normalised here.
            labels: shape ``(N,)`` int, prototypes 0 .. K-1, -1 for images to leave out.

        Returns:
            Scalar, float32 or wider.

        Raises:
            RuntimeError: before the first :meth:`reset`.
        """
        blocks = self._blocks_on(features.device)
        labels = labels.long()
        with without_autocast(features):
            unit = unit_rows(at_least_float32(features))
            losses = []
            for name, prototypes in blocks.items():
                scores = unit @ prototypes.to(unit).T / self.temperature
                if self.groups is not None:
                    losses.append(_mean_of_valid(self._multi_positive(scores, labels), labels))
                    continue
                loss = _mean_of_valid(
                    functional.cross_entropy(
                        scores, labels, ignore_index=OUTLIER, reduction='none'), labels)
                losses.append((loss - self.margin).relu() if name == 'mean' else loss)
            return torch.stack(losses).mean()

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Move the prototypes of the clusters in the batch.

        To be called once per optimiser step, after the backward pass, by every rank.
        All ranks then hold the same prototypes, the ones that a single process would
        compute from the whole batch.

        Args:
            features: shape ``(N, D)``, as for :meth:`forward`; N the same on all ranks
                if they are gathered.
            labels: shape ``(N,)``.

        Raises:
            RuntimeError: before the first :meth:`reset`.
        """
        blocks = self._blocks_on(features.device)
        with without_autocast(features):
            unit = unit_rows(at_least_float32(features.detach())).to(self.prototypes)
            if self.gather:
                unit, labels = gather_rows(unit), gather_rows(labels)
            if len(unit) == 0:
                return
            # Row k marks the images of cluster k, none for outliers. Sums over rows of it
            # are deterministic on every device, unlike scattered additions.
            members = torch.arange(self.num_prototypes, device=labels.device)[:, None] == labels
            moved = []
            for name, old in blocks.items():
                if name == 'hard':
                    # Distance from the block of means, if there is one, before it moves.
                    moved.append(self._step(old, *_hardest(
                        unit, members, blocks.get('mean', old))))
                elif self.mean_update == 'cluster':
                    moved.append(self._step(old, *_means(unit, members)))
                else:
                    moved.append(self._step_by_step(old, unit, members))
            self.prototypes = torch.cat(moved)

    def extra_repr(self) -> str:
        """Show the settings."""
        return (f'mode={self.mode!r}, temperature={self.temperature}, momentum={self.momentum}, '
                f'margin={self.margin}, num_candidates={self.num_candidates}, '
                f'mean_update={self.mean_update!r}')

    def _blocks_on(self, device: torch.device) -> dict[str, Tensor]:
        """Return the prototypes of each block, after moving them if need be."""
        if len(self.prototypes) == 0:
            raise RuntimeError('the memory is empty: call reset(centroids) first')
        if self.prototypes.device != device:
            self.prototypes = self.prototypes.to(device)
            self.groups = None if self.groups is None else self.groups.to(device)
        names = BLOCKS[self.mode]
        return dict(zip(names, self.prototypes.chunk(len(names))))

    def _multi_positive(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of each image against all prototypes of its group.

        Args:
            scores: shape ``(N, K)``.
            labels: shape ``(N,)``; the value at -1 is finite and means nothing.

        Returns:
            Shape ``(N,)``.
        """
        own = self.groups[labels.clamp(min=0)]
        positive = own[:, None] == self.groups
        num_positives = positive.sum(1, keepdim=True)
        size = min(self.num_candidates, scores.shape[1])
        nearest = scores.detach().masked_fill(positive, -torch.inf).topk(size, dim=1).indices
        # Nearest first, so the first ones fill the places that positives leave. Positives
        # themselves come last and are in the set anyway.
        places = torch.arange(size, device=scores.device) < self.num_candidates - num_positives
        candidate = torch.zeros_like(positive).scatter_(1, nearest, places) | positive
        log_total = scores.masked_fill(~candidate, -torch.inf).logsumexp(1)
        return log_total - (scores * positive).sum(1) / num_positives.squeeze(1)

    def _step(self, old: Tensor, new: Tensor, present: Tensor) -> Tensor:
        """Move the marked rows, shape ``(K,)``, of ``old`` towards ``new``."""
        moved = unit_rows(self.momentum * old + (1 - self.momentum) * new)
        return torch.where(present[:, None], moved, old)

    def _step_by_step(self, rows: Tensor, unit: Tensor, members: Tensor) -> Tensor:
        """Move towards one image after the other, all clusters at a time."""
        num_images = members.shape[1]
        positions = torch.arange(num_images, device=members.device)
        # Images of each cluster in the order of the batch, then fillers.
        order = torch.where(members, positions, num_images).sort(1).values
        for image in order[:, :int(members.sum(1).max())].unbind(1):
            rows = self._step(rows, unit[image.clamp(max=num_images - 1)], image < num_images)
        return rows


def _means(unit: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    """Average the images of each cluster; also tell which clusters have any."""
    counts = members.sum(1)
    sums = members.to(unit.dtype) @ unit
    return sums / counts.clamp(min=1)[:, None], counts > 0


def _hardest(unit: Tensor, members: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Find the image of each cluster least similar to its row of ``reference``."""
    similarity = (reference @ unit.T).masked_fill(~members, torch.inf)
    return unit[similarity.argmin(1)], members.any(1)


def _mean_of_valid(losses: Tensor, labels: Tensor) -> Tensor:
    """Average over the images that have a label; none gives zero."""
    valid = labels != OUTLIER
    return losses.masked_fill(~valid, 0).sum() / valid.sum().clamp(min=1)
