"""Pseudo labels before each epoch, prototypes after each batch."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvireid.compat import is_resuming
from mmvireid.registry import HOOKS, LABELLERS, TASK_UTILS
from mmvireid.structures import ClusteringEpoch, ImageSet, PseudoLabels
from mmvireid.utils.errors import ClusteringError, ConfigError
from mmvireid.utils.wrappers import unwrap_model

from .clustering_record import ClusteringRecord

#: First word of the random key of labelling, so that it shares numbers with nothing else
#: that is drawn from seed and epoch.
_RANDOM_KEY = 7


class _ToLogOfRun(logging.Handler):
    """Passes on what the search says, such as the recall of an approximate one.

    The parts that work on plain arrays know nothing of a run and its log.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self.logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a message over, as information: MMEngine shows a warning only once."""
        self.logger.info(record.getMessage())


@dataclass
class _Fallback:
    """What a failed labelling of a branch falls back on."""

    #: Clusters of the last epoch that had any: ``PseudoLabels.clusters``.
    clusters: np.ndarray | None = None
    #: Failures in a row.
    failures: int = 0


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Label the training set before each epoch.

    The *extractor* computes the descriptors of all images. Each *labeller* makes the labels
    of a branch of them, for the branches whose batches take turns in the sampler
    (:class:`mmvireid.datasets.ClusterSampler`). The labels go to the sampler, prototypes and
    terms of the loss to the head (:class:`mmvireid.models.ClusterContrastHead`). After each
    backward pass the hook lets the head move its prototypes.

    Everything is a function of the weights, the seed and the epoch, so a resumed run
    makes the labels that an unbroken one would. A checkpoint holds only the clusters to fall
    back on.

    An epoch whose clustering fails (no cluster, a single one, or a modality without any)
    keeps the last good clusters of the branch, with labels and prototypes from the new
    features. As long as a branch has had no labels at all, its turns go to the other
    branches.

    Each epoch is logged and written to ``clustering.json`` in the work directory
    (:class:`ClusteringRecord`).

    Args:
        extractor: config of the extractor, for example
            ``dict(type='TrainingSetExtractor', pipeline=test_pipeline)``.
        labellers: branch -> config of its labeller, for example
            ``dict(type='ClusterLabeller', partition=..., plan=...)``. A labeller sees what
            those of earlier turns have made in the same epoch.
        max_failures: failed labellings of a branch in a row after which training stops.
        compare: compare the clusters with the identities of the dataset in the log.

    Raises:
        ClusteringError: after ``max_failures``, or when there are no labels to begin with.
        ValueError: before training, if the sampler names a branch that hook or head does
            not have.
    """

    # Before the timer, which would count the clustering as waiting for data.
    priority = 'HIGH'

    def __init__(self,
                 extractor: dict,
                 labellers: Mapping[str, dict],
                 max_failures: int = 3,
                 compare: bool = True) -> None:
        self.extractor = TASK_UTILS.build(extractor)
        self.labellers = {name: LABELLERS.build(cfg) for name, cfg in labellers.items()}
        self.max_failures = max_failures
        self.compare = compare
        #: What the last clustering found, for hooks that draw it.
        self.last_clustering: ClusteringEpoch | None = None
        self._fallbacks = {name: _Fallback() for name in labellers}

    def before_train(self, runner: Runner) -> None:
        """Check the config, and take over the record of the run that is resumed."""
        for owner, known in (('default_hooks.pseudo_labels.labellers', self.labellers),
                             ('model.head.branches', _head(runner).branch_names)):
            unknown = [name for name in runner.train_dataloader.sampler.turns
                       if name not in known]
            if unknown:
                raise ConfigError(
                    f'train_dataloader.sampler.turns names the branch "{unknown[0]}", but {owner} '
                    f'has only {", ".join(sorted(known))}')
        logger = logging.getLogger('mmvireid')
        # A run of the same process that ended in an error has left its own behind.
        logger.handlers = [h for h in logger.handlers if not isinstance(h, _ToLogOfRun)]
        logger.addHandler(_ToLogOfRun(runner.logger))
        self._record = ClusteringRecord(runner, self.compare)

    def before_train_epoch(self, runner: Runner) -> None:
        """Label the training set, and set up sampler and head.

        Raises:
            ClusteringError: as the class says.
        """
        start = time.perf_counter()
        images = self.extractor(runner)
        extracted = time.perf_counter() - start
        sampler = runner.train_dataloader.sampler
        found, used, seconds = {}, {}, {}
        for name in dict.fromkeys(sampler.turns):
            start = time.perf_counter()
            # The same for all branches: each takes its own subset of one permutation.
            rng = np.random.default_rng([_RANDOM_KEY, runner.seed, runner.epoch])
            found[name] = self.labellers[name](images, runner.epoch, rng, used)
            accepted = self._accept(runner, name, found[name], images)
            if accepted is not None:
                used[name] = accepted
            seconds[name] = dict(extract=extracted, label=time.perf_counter() - start,
                                 **found[name].seconds)
        if not used:
            raise ClusteringError(
                'the first clustering of the training found nothing to learn from: '
                f'{_advice(sampler.turns[0])}')
        _head(runner).reset(used)
        sampler.set_labels(used)
        self._record.add(runner, images.modality, found, seconds)
        self.last_clustering = ClusteringEpoch(
            runner.epoch,
            next(iter(images.descriptors.values())),
            images.modality,
            {name: labels.labels for name, labels in used.items()},
            np.asarray(runner.train_dataloader.dataset.identities) if self.compare else None)

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Move the prototypes towards the batch."""
        _head(runner).update_memories()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the clusters that a failed clustering would fall back on."""
        checkpoint['pseudo_labels'] = {
            name: dict(
                failures=kept.failures,
                labels=None if kept.clusters is None else torch.from_numpy(kept.clusters))
            for name, kept in self._fallbacks.items()
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the clusters back when a run is resumed."""
        if is_resuming(runner):
            for name, saved in checkpoint.get('pseudo_labels', {}).items():
                if name in self._fallbacks:
                    # Tensors of a checkpoint are loaded onto the device of the model.
                    self._fallbacks[name] = _Fallback(
                        None if saved['labels'] is None else saved['labels'].cpu().numpy(),
                        saved['failures'])

    def _accept(self, runner: Runner, name: str, found: PseudoLabels,
                images: ImageSet) -> PseudoLabels | None:
        """Return the labels to use: these, those of the last good clusters, or None."""
        kept = self._fallbacks[name]
        if found.failure is None:
            kept.clusters = found.labels if found.clusters is None else found.clusters
            kept.failures = 0
            return found
        kept.failures += 1
        if kept.failures >= self.max_failures:
            raise ClusteringError(
                f'the clustering of branch "{name}" failed {kept.failures} times in a row, '
                f'last because {found.failure}: {_advice(name)}')
        consequence = ('its last good labels are kept' if kept.clusters is not None else
                       'it has no earlier labels and sits this epoch out')
        runner.logger.warning(
            f'Epoch {runner.epoch + 1}: {found.failure} in branch "{name}"; {consequence} '
            f'({kept.failures} of {self.max_failures} failures before training stops).')
        if kept.clusters is None:
            return None
        return self.labellers[name].from_clusters(images, kept.clusters, runner.epoch)


def _advice(branch: str) -> str:
    return ('raise eps if most images are outliers, lower it if all are in one cluster (the '
            f'clusterers under default_hooks.pseudo_labels.labellers.{branch}.partition), lower '
            'min_samples, or begin with pre-trained weights.')


def _head(runner: Runner) -> torch.nn.Module:
    return unwrap_model(runner.model).head
