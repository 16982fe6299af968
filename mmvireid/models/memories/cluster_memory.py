"""One or two prototypes of each cluster, and the losses against them."""

import torch
from torch import Tensor
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.utils.errors import ConfigError, InputError, UsageError

from ..utils import at_least_float32, unit_rows, without_autocast

#: Mode -> names of its blocks of prototypes, in the order in which they are stacked.
BLOCKS = {'mean': ('mean', ), 'hard': ('hard', ), 'hybrid': ('mean', 'hard')}

#: Label of an image that belongs to no cluster.
OUTLIER = -1


@MODELS.register_module()
class ClusterMemory:
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

    A memory is a plain object with three verbs, :meth:`reset`, :meth:`loss` and
    :meth:`update`, and no module: its prototypes change in number each epoch, which would
    break weight averaging (``EMAHook``) and loading, and they are made anew from the
    weights, so no checkpoint needs them. They move to the device of the features by
    themselves. An update replaces the tensor, so that a backward pass after it still sees
    the prototypes that the loss has seen, and a shallow copy (:func:`copy.copy`) can be
    moved while the memory itself stays.

    Features are those of the whole batch: with several processes each of them calls with
    the rows of all, and they stay the same.

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

    Raises:
        ConfigError: if an argument is unknown or out of range.

    Examples:
        >>> import torch
        >>> from mmvireid.models import ClusterMemory
        >>> memory = ClusterMemory(mode='mean', temperature=0.5, momentum=0.0, margin=0.0)
        >>> memory.reset(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        >>> images, clusters = torch.tensor([[0.6, 0.8], [1.0, 0.0]]), torch.tensor([0, -1])
        >>> round(memory.loss(images, clusters).item(), 4)  # log(1 + exp((0.8 - 0.6) / 0.5))
        0.913
        >>> memory.update(images, clusters)
        >>> memory.prototypes
        tensor([[0.6000, 0.8000],
                [0.0000, 1.0000]])
    """

    #: Rows of shape ``(B * K, D)``: K mean prototypes, then K hard ones, as far as the mode
    #: has them.
    prototypes: Tensor
    #: Shape ``(K,)``, the group of each prototype, or None.
    groups: Tensor | None

    def __init__(self,
                 mode: str = 'mean',
                 temperature: float = 0.05,
                 momentum: float = 0.1,
                 margin: float = 0.2,
                 num_candidates: int = 50,
                 mean_update: str = 'cluster') -> None:
        if mode not in BLOCKS:
            raise ConfigError(f'mode must be one of {list(BLOCKS)}, got {mode!r}')
        if mean_update not in ('cluster', 'sample'):
            raise ConfigError(f"mean_update must be 'cluster' or 'sample', got {mean_update!r}")
        if mean_update == 'sample' and mode == 'hard':
            raise ConfigError("mode='hard' has no mean prototypes that mean_update could concern")
        if temperature <= 0:
            raise ConfigError(f'temperature must be positive, got {temperature}')
        if not 0 <= momentum <= 1:
            raise ConfigError(f'momentum must be between 0 and 1, got {momentum}')
        if num_candidates < 1:
            raise ConfigError(f'num_candidates must be at least 1, got {num_candidates}')
        self.mode = mode
        self.temperature = temperature
        self.momentum = momentum
        self.margin = margin
        self.num_candidates = num_candidates
        self.mean_update = mean_update
        self.prototypes = torch.empty(0, 0)
        self.groups = None

    @property
    def num_prototypes(self) -> int:
        """Number K of labels, which a hybrid memory stores two rows for."""
        return len(self.prototypes) // len(BLOCKS[self.mode])

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(mode={self.mode!r}, temperature={self.temperature}, '
                f'momentum={self.momentum}, margin={self.margin}, '
                f'num_candidates={self.num_candidates}, mean_update={self.mean_update!r})')

    @torch.no_grad()
    def reset(self, centroids: Tensor, groups: Tensor | None = None,
              normalize: bool = True) -> None:
        """Start from the centroids of new clusters.

        Args:
            centroids: shape ``(K, D)``, of any length.
            groups: shape ``(K,)`` int, the global cluster of each modality prototype;
                :meth:`loss` is then the multi-positive loss.
            normalize: scale the centroids to unit length. Without, a prototype keeps its
                length until its first update, which always ends on the unit sphere.

        Raises:
            InputError: if there is no centroid or the shapes do not fit.
        """
        if centroids.ndim != 2 or len(centroids) == 0:
            raise InputError('a memory needs centroids of shape (K, D) with K > 0, '
                             f'got {tuple(centroids.shape)}')
        if groups is not None and groups.shape != centroids.shape[:1]:
            raise InputError(f'{len(centroids)} centroids got groups of shape '
                             f'{tuple(groups.shape)}')
        rows = at_least_float32(centroids.detach())
        # A copy in any case: later changes of the caller's tensors must not reach the memory.
        self.prototypes = (unit_rows(rows) if normalize else rows).repeat(
            len(BLOCKS[self.mode]), 1)
        self.groups = None if groups is None else groups.detach().clone().to(rows.device)

    def loss(self,
             features: Tensor,
             labels: Tensor,
             soft_labels: Tensor | None = None,
             weights: Tensor | None = None,
             moved: 'ClusterMemory | None' = None) -> Tensor:
        """Compute the loss of a batch.

        Several releases update a memory inside the backward pass, so that their gradient is
        formed with prototypes that other images of the same step have moved already: that
        of ``softmax(scores with the old prototypes) - target``, times the moved ones.
        ``moved`` reproduces it.

        Args:
            features: shape ``(N, D)``, of any length: they are normalised here.
            labels: shape ``(N,)`` int, prototypes 0 .. K-1, -1 for images to leave out.
            soft_labels: shape ``(N, K)``, the rows to use instead of the one-hot targets;
                not for a memory with groups.
            weights: shape ``(N,)``, factor of each image's loss. The mean is over the
                images with a label, whatever they weigh.
            moved: a copy of this memory that others have moved: the value of the loss stays
                that of this memory, the gradient goes through the rows of the copy.

        Returns:
            Scalar, float32 or wider.

        Raises:
            UsageError: before the first :meth:`reset`.
            InputError: if there are soft labels and groups.
        """
        if soft_labels is not None and self.groups is not None:
            raise InputError('soft labels are for memories without groups, where an image has one '
                             'target')
        blocks = self._blocks_on(features.device)
        moved_blocks = None if moved is None else moved._blocks_on(features.device)
        labels = labels.long()
        with without_autocast(features):
            unit = unit_rows(at_least_float32(features))
            losses = []
            for name, prototypes in blocks.items():
                prototypes = prototypes.to(unit)
                if moved_blocks is None:
                    scores = unit @ prototypes.T
                else:
                    later = moved_blocks[name].to(unit)
                    # The value is that of the old rows, the gradient that of the moved ones.
                    scores = unit @ later.T + unit.detach() @ (prototypes - later).T
                scores = scores / self.temperature
                if self.groups is not None:
                    each = self._multi_positive(scores, labels)
                elif soft_labels is not None:
                    each = -(soft_labels * scores.log_softmax(1)).sum(1)
                else:
                    each = functional.cross_entropy(
                        scores, labels, ignore_index=OUTLIER, reduction='none')
                loss = _mean_of_valid(each if weights is None else weights * each, labels)
                if name == 'mean' and self.groups is None:
                    loss = (loss - self.margin).relu()
                losses.append(loss)
            return torch.stack(losses).mean()

    def forward(self,
                features: Tensor,
                labels: Tensor,
                soft_labels: Tensor | None = None,
                weights: Tensor | None = None) -> Tensor:
        """Compute the loss, by the name that losses have in PyTorch.

        Args:
            features: see :meth:`loss`.
            labels: see :meth:`loss`.
            soft_labels: see :meth:`loss`.
            weights: see :meth:`loss`.

        Returns:
            Scalar, see :meth:`loss`.
        """
        return self.loss(features, labels, soft_labels, weights)

    __call__ = forward

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Move the prototypes of the clusters in the batch.

        To be called after the backward pass.

        Args:
            features: shape ``(N, D)``, as for :meth:`loss`.
            labels: shape ``(N,)``.

        Raises:
            UsageError: before the first :meth:`reset`.
        """
        blocks = self._blocks_on(features.device)
        if len(features) == 0:
            return
        with without_autocast(features):
            unit = unit_rows(at_least_float32(features.detach())).to(self.prototypes)
            # Row k marks the images of cluster k, none for outliers. Sums over rows of it
            # are deterministic on every device, unlike scattered additions.
            members = torch.arange(self.num_prototypes, device=labels.device)[:, None] == labels
            after = []
            for name, old in blocks.items():
                if name == 'hard':
                    # Distance from the block of means, if there is one, before it moves.
                    after.append(self._step(old, *_hardest(
                        unit, members, blocks.get('mean', old))))
                elif self.mean_update == 'cluster':
                    after.append(self._step(old, *_means(unit, members)))
                else:
                    after.append(self._step_by_step(old, unit, members))
            self.prototypes = torch.cat(after)

    def _blocks_on(self, device: torch.device) -> dict[str, Tensor]:
        """Return the prototypes of each block, after moving them if need be."""
        if len(self.prototypes) == 0:
            raise UsageError('the memory is empty: call reset(centroids) first')
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
        # The own prototype and that of the other modality, if the cluster has both: (N, K).
        positive = own[:, None] == self.groups
        num_positives = positive.sum(1, keepdim=True)
        size = min(self.num_candidates, scores.shape[1])
        nearest = scores.detach().masked_fill(positive, -torch.inf).topk(size, dim=1).indices
        # Nearest first, so the first ones fill the places that positives leave. Positives
        # themselves come last and are in the set anyway.
        places = torch.arange(size, device=scores.device) < self.num_candidates - num_positives
        candidate = torch.zeros_like(positive).scatter_(1, nearest, places) | positive
        # The mean over the positives of -log softmax: the denominator is common to all.
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
    # A cluster without images has no finite entry; whichever image argmin then names, the
    # mark beside it keeps the row as it is.
    similarity = (reference @ unit.T).masked_fill(~members, torch.inf)
    return unit[similarity.argmin(1)], members.any(1)


def _mean_of_valid(losses: Tensor, labels: Tensor) -> Tensor:
    """Average over the images that have a label; none gives zero."""
    valid = labels != OUTLIER
    return losses.masked_fill(~valid, 0).sum() / valid.sum().clamp(min=1)
