"""The head of CIFT: base branch, two graph branches, counterfactual intervention."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo
from mmvireid.utils.errors import ConfigError

from ..graph_transfer import (
    QUERY_MODALITY,
    CounterfactualIntervention,
    graph_settings,
    transfer_affinity,
)
from ..losses import HeteroCenterClusterLoss
from ..necks import BNNeck
from ..utils import at_least_float32, metric_loss_of_batch, without_autocast
from .identity_head import IdentityHead, accuracy, identity_classifier

#: Weights of the paper; the two directions are averaged.
LOSS_WEIGHTS = {
    'ce_b': 1.0,
    'hcc_euc': 1.0,
    'hcc_kl_b': 1.0,
    'ce': 0.5,
    'hcc_kl': 0.5,
    'tie': 0.5,
}


class DirectionLogits(NamedTuple):
    """Logits of one direction, each of shape ``(N, C)``."""

    factual: Tensor
    indirect_effect: Tensor | None


@MODELS.register_module()
class CIFTHead(IdentityHead):
    """Train with the graph that retrieval uses, and with its causal effect.

    Counterfactual intervention feature transfer (arXiv 2208.00967). Three parallel
    BNNecks turn the pooled feature into f_b, f_r2i and f_i2r. In direction r2i the
    visible images of the batch are queries and the infrared ones the gallery, in i2r
    the reverse; :func:`transfer_affinity` sends features along that graph and a
    classifier judges the result. Counterfactual relation intervention classifies
    what the transfer by the real affinity adds to the transfer by a counterfactual
    one.

    The head takes pooled features of any backbone, so it goes on AGW's as well.

    Losses, with their keys in ``loss_weights``: ``ce_b``, ``hcc_euc``, ``hcc_kl_b`` of the
    base branch; ``ce``, ``hcc_kl``, ``tie`` of each direction. A weight of zero leaves a
    loss out, with what only it would train: without ``tie`` there is no counterfactual
    branch, and the neck and the classifier of a branch without any loss are frozen, as
    distributed training asks of parameters without gradient. A frozen neck still
    normalises, so all descriptors stay: with ``ce``, ``hcc_kl`` and ``tie`` zero the graph
    is in the retrieval alone.

    The graph is a part of the retrieval too: the scorer of ``rankings``,
    :class:`mmvireid.models.GraphTransfer`, ranks what is stored and knows no model, so the
    config hands it the same settings by the reference ``graph='${model.head.graph}'``.

    Args:
        num_classes: C, identities of the training set.
        in_channels: D of the pooled features.
        directions: of the graph branches; ``()`` leaves the base branch alone.
        graph: settings of the graph, ``tau_het``, ``tau_hom`` and ``num_neighbors``, see
            :class:`mmvireid.models.graph_transfer.GraphSettings`; None for the paper's.
        counterfactual: train with counterfactual relation intervention; False is the
            ablation of the paper.
        num_draws: draws of the counterfactual noise.
        noise: 'slot' as released, or 'shared'; see :class:`CounterfactualIntervention`.
        batch_size: rows of a training batch over all processes, for ``noise='slot'``.
        margin_euclidean: margin of the hetero-centre cluster loss on pooled features.
        margin_kl: margin of the hetero-centre cluster loss on logits.
        loss_weights: replaces single weights of the losses; zero leaves a loss out.
        metric_loss: config of a further loss on ``(pooled, ids)`` or ``(pooled, ids,
            modality)``, for backbones that come with one.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ConfigError: for a direction, loss weight or setting of another name, or without any loss.

    Examples:
        >>> import torch
        >>> from mmvireid.models import CIFTHead
        >>> from mmvireid.structures import BatchInfo
        >>> head = CIFTHead(num_classes=10, in_channels=8, noise='shared')
        >>> info = BatchInfo(modality=torch.tensor([0, 0, 1, 1]), label=torch.tensor([3, 7, 3, 7]))
        >>> losses = head.loss(torch.rand(4, 8), info)
        >>> [name for name in losses if name.endswith('r2i')]
        ['loss_ce_r2i', 'loss_hcc_kl_r2i', 'loss_tie_r2i']
        >>> sorted(head.eval().predict(torch.rand(1, 8)))
        ['base', 'i2r', 'r2i']
    """

    requires_both_modalities = True
    #: Parts that descriptors do not come from.
    training_only = ('classifiers', 'counterfactual')
    #: Names of parts in checkpoints of earlier versions -> those of today.
    renamed_parts = {'necks': 'bnnecks'}

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 directions: Sequence[str] = ('r2i', 'i2r'),
                 graph: Mapping[str, float] | None = None,
                 counterfactual: bool = True,
                 num_draws: int = 10,
                 noise: str = 'slot',
                 batch_size: int | None = None,
                 margin_euclidean: float = 0.6,
                 margin_kl: float = 6.0,
                 loss_weights: Mapping[str, float] | None = None,
                 metric_loss: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(num_classes, init_cfg)
        loss_weights = dict(loss_weights or {})
        for given, known, what in ((directions, QUERY_MODALITY, 'direction'),
                                   (loss_weights, LOSS_WEIGHTS, 'loss weight')):
            unknown = set(given) - set(known)
            if unknown:
                raise ConfigError(
                    f'there is no {what} {sorted(unknown)} in CIFT, only {list(known)}')
        self.directions = tuple(directions)
        #: settings of the graph, as :func:`transfer_affinity` takes them
        self.graph = graph_settings(graph)
        self.loss_weights = {**LOSS_WEIGHTS, **loss_weights}

        branches = ('b', *self.directions)
        self.bnnecks = nn.ModuleDict({branch: BNNeck(in_channels) for branch in branches})
        self.classifiers = nn.ModuleDict(
            {branch: identity_classifier(in_channels, num_classes) for branch in branches})
        self.counterfactual = None
        if counterfactual and self.directions and self.loss_weights['tie']:
            self.counterfactual = CounterfactualIntervention(
                in_channels, num_draws=num_draws, noise=noise, batch_size=batch_size)
        self.hcc_euclidean = HeteroCenterClusterLoss('euclidean', margin_euclidean)
        self.hcc_kl = HeteroCenterClusterLoss('kl', margin_kl)
        self.metric_loss = MODELS.build(metric_loss) if metric_loss else None
        trained = [branch for branch in branches if self._has_loss(branch)]
        if not (trained or self.loss_weights['hcc_euc'] or self.metric_loss):
            raise ConfigError('every loss of CIFT has a weight of zero in loss_weights: there is '
                              'nothing to train')
        for branch in branches:
            if branch not in trained:
                self.bnnecks[branch].requires_grad_(False)
                self.classifiers[branch].requires_grad_(False)

    def _has_loss(self, branch: str) -> bool:
        """Tell whether any loss looks at the logits of a branch."""
        weight = self.loss_weights
        if branch == 'b':
            return bool(weight['ce_b'] or weight['hcc_kl_b'])
        return bool(weight['ce'] or weight['hcc_kl'] or self.counterfactual is not None)

    def forward(self, pooled: Tensor) -> dict[str, Tensor]:
        """Compute the feature of every branch.

        Args:
            pooled: shape ``(N, D)``.

        Returns:
            Features after the BNNecks, each of shape ``(N, D)``, by branch, ``b`` and the
            directions.
        """
        return {branch: bnneck(pooled) for branch, bnneck in self.bnnecks.items()}

    def direction_logits(self,
                         direction: str,
                         features: Tensor,
                         modality: Tensor,
                         draws: Tensor | None = None) -> DirectionLogits:
        """Transfer features in one direction and classify the result.

        Args:
            direction: 'r2i' or 'i2r'.
            features: node features of this direction, shape ``(N, D)``.
            modality: shape ``(N,)``.
            draws: noise of the counterfactual branch, shape ``(T, N, D)``; None draws
                afresh.

        Returns:
            Logits ``W x`` of the transferred features x, and ``W (x - x*)`` where x* are
            the counterfactual ones (None without them).
        """
        # All visible images are queries of one batch graph, or all infrared ones: queries send
        # nothing to each other, so this is the graphs of the single queries at once.
        is_query = modality == QUERY_MODALITY[direction]
        classifier = self.classifiers[direction]
        effect = None
        # The effect is a small difference of large values, so half precision comes after.
        with without_autocast(features):
            features = at_least_float32(features)
            transferred = transfer_affinity(features, is_query, **self.graph) @ features
            if self.counterfactual is not None:
                effect = transferred - self.counterfactual(
                    features, is_query, draws=draws, **self.graph)
        return DirectionLogits(
            classifier(transferred), None if effect is None else classifier(effect))

    def loss(self,
             pooled: Tensor,
             info: BatchInfo,
             draws: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            pooled: shape ``(N, D)``.
            info: of the N rows, with labels 0 .. C-1.
            draws: noise by direction, each of shape ``(T, N, D)``; None draws afresh, all
                draws of r2i before those of i2r.

        Returns:
            Weighted losses ``loss_ce_b``, ``loss_hcc_euc``, ``loss_hcc_kl_b``, then for
            each direction ``loss_ce_*``, ``loss_hcc_kl_*``, ``loss_tie_*``, all where the
            weight is not zero, and ``accuracy`` of the base branch in percent.
        """
        features = self(pooled)
        base_logits = self.classifiers['b'](features['b'])
        graph_logits = {
            direction: self.direction_logits(direction, features[direction], info.modality,
                                             draws[direction] if draws else None)
            for direction in self.directions if self._has_loss(direction)
        }
        return self.loss_by_feat(pooled, base_logits, graph_logits, info)

    def loss_by_feat(self, pooled: Tensor, base_logits: Tensor,
                     graph_logits: Mapping[str, DirectionLogits],
                     info: BatchInfo) -> dict[str, Tensor]:
        """Compute the losses from features and logits.

        Args:
            pooled: shape ``(N, D)``.
            base_logits: shape ``(N, C)``.
            graph_logits: logits by direction.
            info: of the N rows.

        Returns:
            As :meth:`loss`.
        """
        weight, ids, modality = self.loss_weights, info.label, info.modality
        losses = {}

        def add(name: str, kind: str, loss: Callable, *arguments: Tensor) -> None:
            if weight[kind]:
                losses[f'loss_{name}'] = weight[kind] * loss(*arguments)

        add('ce_b', 'ce_b', _cross_entropy, base_logits, ids)
        add('hcc_euc', 'hcc_euc', self.hcc_euclidean, pooled, ids, modality)
        add('hcc_kl_b', 'hcc_kl_b', self.hcc_kl, base_logits, ids, modality)
        for direction, logits in graph_logits.items():
            add(f'ce_{direction}', 'ce', _cross_entropy, logits.factual, ids)
            add(f'hcc_kl_{direction}', 'hcc_kl', self.hcc_kl, logits.factual, ids, modality)
            if logits.indirect_effect is not None:
                add(f'tie_{direction}', 'tie', _cross_entropy, logits.indirect_effect, ids)
        if self.metric_loss is not None:
            losses['loss_metric'] = metric_loss_of_batch(self.metric_loss, pooled, info)
        losses['accuracy'] = accuracy(base_logits, ids)
        return losses

    def predict(self, pooled: Tensor) -> dict[str, Tensor]:
        """Compute the descriptors of each image.

        Single images have no graph: the transfer among gallery and queries is the work
        of :class:`mmvireid.models.GraphTransfer`.

        Args:
            pooled: shape ``(N, D)``.

        Returns:
            L2-normalised features of shape ``(N, D)``: ``base`` (CIFT without its graph)
            and one for each direction.
        """
        features = self(pooled)
        features['base'] = features.pop('b')
        return {
            name: functional.normalize(at_least_float32(feature))
            for name, feature in features.items()
        }


def _cross_entropy(logits: Tensor, ids: Tensor) -> Tensor:
    return functional.cross_entropy(at_least_float32(logits), ids)
