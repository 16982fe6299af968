"""Pseudo labels before each epoch, prototypes after each batch."""

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Mapping, Optional

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmvireid.clustering import ClusterReport, MemoryPlan, Partition, cluster_report
from mmvireid.registry import HOOKS, TASK_UTILS
from mmvireid.structures import ClusteringEpoch, Modality
from mmvireid.utils.errors import ClusteringError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.records import read_record_if_complete

from .records import record_to_go_on_with

_FILE = 'clustering.json'
#: First word of the random key of subset clustering, so that it shares numbers with
#: nothing else that is drawn from seed and epoch.
_SUBSETS = 7


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


class _Branch:
    """How one branch turns features into clusters and memories."""

    def __init__(self, clusterer: dict, memory: dict, associator: Optional[dict] = None) -> None:
        self.clusterer = TASK_UTILS.build(clusterer)
        self.associator = TASK_UTILS.build(associator or dict(type='NoAssociation'))
        self.memory = TASK_UTILS.build(memory)
        #: The clusters of the last epoch that had any.
        self.good_labels: Optional[np.ndarray] = None
        self.failures = 0


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Cluster the training set before each epoch.

    Four registered parts make the labels of a branch: the *extractor* computes the
    features of all images, the *clusterer* groups them, the *associator* matches clusters
    of the two modalities, and *memory* makes the first prototypes. The clusters go to the
    sampler (:class:`mmvireid.datasets.ClusterSampler`), the prototypes to the head
    (:class:`mmvireid.models.ClusterContrastHead`). After each backward pass the hook lets
    the head move its prototypes.

    Everything is a function of the weights, the seed and the epoch, so a resumed run
    makes the labels that an unbroken one would. A checkpoint holds only the labels to fall
    back on.

    An epoch whose clustering fails (no cluster, a single one, or a modality without any)
    keeps the last good labels of the branch, with prototypes from the new features. As long
    as a branch has had no labels at all, its turns go to the other branches.

    Each epoch is logged and written to ``clustering.json`` in the work directory, with
    ``failed`` set where the clusters described were not fit to learn from. Where the
    dataset knows identities, the clusters are compared with them, in the log only.

    Args:
        extractor: config of the extractor, for example
            ``dict(type='TrainingSetExtractor', pipeline=test_pipeline)``.
        branches: name -> ``dict(clusterer=..., memory=..., associator=None)``. The turns of
            the sampler say which of them are in use.
        max_failures: failed clusterings of a branch in a row after which training stops.
        compare: compare the clusters with the identities of the dataset in the log.

    Raises:
        ClusteringError: after ``max_failures``, or when there are no labels to begin with.
        ValueError: before training, if a turn names a branch that hook or head does not have.
    """

    # Before the timer, which would count the clustering as waiting for data.
    priority = 'HIGH'

    def __init__(self,
                 extractor: dict,
                 branches: Mapping[str, dict],
                 max_failures: int = 3,
                 compare: bool = True) -> None:
        self.extractor = TASK_UTILS.build(extractor)
        self.branches = {name: _Branch(**cfg) for name, cfg in branches.items()}
        self.max_failures = max_failures
        self.compare = compare
        #: What the last clustering found, for hooks that draw it.
        self.last_clustering: Optional[ClusteringEpoch] = None
        #: The turns that the config gives the branches.
        self._wanted: tuple[str, ...] = ()
        self._records: list[dict] = []

    def before_train(self, runner: Runner) -> None:
        """Check the config, and take over the record of the run that is resumed."""
        self._check(runner)
        logger = logging.getLogger('mmvireid')
        # A run of the same process that ended in an error has left its own behind.
        logger.handlers = [h for h in logger.handlers if not isinstance(h, _ToLogOfRun)]
        logger.addHandler(_ToLogOfRun(runner.logger))
        path = record_to_go_on_with(runner, _FILE)
        if path is not None:
            records = read_record_if_complete(path) or []
            self._records = [r for r in records if r['epoch'] <= runner.epoch]

    def before_train_epoch(self, runner: Runner) -> None:
        """Cluster, and set up sampler and head.

        Raises:
            ClusteringError: as the class says.
        """
        start = time.perf_counter()
        images = self.extractor(runner)
        seconds = time.perf_counter() - start
        features = next(iter(images.descriptors.values()))
        modality = images.modality
        dataset = runner.train_dataloader.dataset
        identities = np.asarray(dataset.identities) if self.compare else None
        labels, rows = {}, []
        for name in dict.fromkeys(self._wanted):
            found, plans, failed, parts = self._label(runner, name, features)
            if self.branches[name].good_labels is not None:
                labels[name] = self.branches[name].good_labels
            separate = all(plan.modality is not None for plan in plans)
            rows += [
                dict(
                    epoch=runner.epoch + 1,
                    branch=name,
                    modality=which,
                    failed=failed,
                    **asdict(report),
                    seconds=dict(extract=seconds, **parts))
                for which, report in _reports(found, modality, identities, separate).items()
            ]
        if not labels:
            raise ClusteringError(
                'the first clustering of the training found nothing to learn from: '
                f'{self._advice(self._wanted[0])}')
        spare = [name for name in self._wanted if name in labels]
        runner.train_dataloader.sampler.set_turns(
            [name if name in labels else spare[0] for name in self._wanted])
        self.last_clustering = ClusteringEpoch(
            runner.epoch, features, modality, labels, identities)
        self._log(runner, rows)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Move the prototypes towards the batch."""
        _head(runner).update_memories()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the labels that a failed clustering would fall back on."""
        checkpoint['pseudo_labels'] = {
            name: dict(
                failures=branch.failures,
                labels=None if branch.good_labels is None else torch.from_numpy(
                    branch.good_labels))
            for name, branch in self.branches.items()
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the labels back when a run is resumed."""
        if runner._resume:
            for name, saved in checkpoint.get('pseudo_labels', {}).items():
                if name in self.branches:
                    self.branches[name].failures = saved['failures']
                    if saved['labels'] is not None:
                        # Tensors of a checkpoint are loaded onto the device of the model.
                        self.branches[name].good_labels = saved['labels'].cpu().numpy()

    def _check(self, runner: Runner) -> None:
        """Read the turns of the branches, and find a name that hook or head do not know."""
        self._wanted = tuple(runner.train_dataloader.sampler.turns)
        for owner, known in (('PseudoLabelHook', self.branches),
                             ('model.head', _head(runner).branch_names)):
            unknown = [name for name in self._wanted if name not in known]
            if unknown:
                raise ValueError(f'training uses the branch "{unknown[0]}", but {owner} has only '
                                 f'{", ".join(sorted(known))}')

    def _label(self, runner: Runner, name: str, features: torch.Tensor
               ) -> tuple[Partition, list[MemoryPlan], bool, dict[str, float]]:
        """Cluster for one branch; hand labels and memories over if there are any.

        Returns what was found, the memories in use, whether it failed, and seconds.
        """
        branch, dataset = self.branches[name], runner.train_dataloader.dataset
        modality = np.asarray(dataset.modalities)
        start = time.perf_counter()
        # The same for all branches: each takes its own half of the same permutation.
        generator = np.random.default_rng([_SUBSETS, runner.seed, runner.epoch])
        found = branch.clusterer(features, modality, generator, np.asarray(dataset.cameras))
        clustered = associated = time.perf_counter()
        plans, problem = [], _modality_problem(found, modality)
        # An associator need not cope with a modality that has no cluster.
        if problem is None:
            labels = branch.associator(features, found.labels, modality)
            found = Partition(labels, found.considered)
            associated = time.perf_counter()
            plans = branch.memory(features, found.labels, modality)
            problem = _modality_problem(found, modality) or _cluster_problem(plans)
        if problem:
            self._count_failure(runner, name, problem)
            if branch.good_labels is not None:
                plans = branch.memory(features, branch.good_labels, modality)
        else:
            branch.good_labels, branch.failures = found.labels, 0
        if branch.good_labels is not None:
            _head(runner).reset(name, plans)
            runner.train_dataloader.sampler.set_labels(branch.good_labels, name)
        return found, plans, problem is not None, dict(
            cluster=clustered - start,
            associate=associated - clustered,
            memory=time.perf_counter() - associated)

    def _count_failure(self, runner: Runner, name: str, problem: str) -> None:
        """Warn, or stop when it has happened too often."""
        branch = self.branches[name]
        branch.failures += 1
        if branch.failures >= self.max_failures:
            raise ClusteringError(
                f'the clustering of branch "{name}" failed {branch.failures} times in a row, '
                f'last because {problem}: {self._advice(name)}')
        kept = ('its last good labels are kept' if branch.good_labels is not None else
                'it has no earlier labels and sits this epoch out')
        runner.logger.warning(
            f'Epoch {runner.epoch + 1}: {problem} in branch "{name}"; {kept} '
            f'({branch.failures} of {self.max_failures} failures before training stops).')

    def _advice(self, name: str) -> str:
        key = f'default_hooks.pseudo_labels.branches.{name}.clusterer'
        return (f'raise eps if most images are outliers, lower it if all are in one cluster '
                f'(the clusterers under {key}), lower min_samples, or begin with '
                'pre-trained weights.')

    def _log(self, runner: Runner, rows: list[dict]) -> None:
        """Write the record to the log, to the visualiser and to a file."""
        runner.logger.info(f'Clusters of epoch {runner.epoch + 1}\n{format_rows(rows)}')
        numbers = {
            f'clustering/{row["branch"]}_{row["modality"]}/{key}': row[key]
            for row in rows
            for key in ('clusters', 'mixed', 'outliers', 'linked', 'ari', 'nmi', 'purity')
            if row[key] is not None
        }
        runner.visualizer.add_scalars(numbers, step=runner.epoch + 1)
        self._records += rows
        if is_main_process():
            write_atomically(json.dumps(self._records, indent=1).encode(),
                             Path(runner.work_dir) / _FILE)


def format_rows(rows: list[dict]) -> str:
    """Lay the record of an epoch out as a table.

    Args:
        rows: records as in ``clustering.json``.

    Returns:
        str: header and one line for each row.
    """
    head = (f'{"branch":<20}{"clusters":>9}{"mixed":>7}{"outliers":>14}{"linked %":>10}'
            f'{"ARI":>7}{"NMI":>7}{"purity %":>10}   seconds')
    lines = [head]
    for row in rows:
        seconds = ', '.join(f'{part} {value:.1f}' for part, value in row['seconds'].items()
                            if part != 'associate' or value >= 0.05)
        outliers = f'{row["outliers"]}/{row["images"]}'
        lines.append(
            f'{row["branch"] + " " + row["modality"]:<20}{row["clusters"]:>9}{row["mixed"]:>7}'
            f'{outliers:>14}{row["linked"]:>10.1f}{_number(row["ari"], 7, 3)}'
            f'{_number(row["nmi"], 7, 3)}{_number(row["purity"], 10, 1)}   {seconds}'
            f'{"   failed, not used" if row["failed"] else ""}')
    return '\n'.join(lines)


def _number(value: Optional[float], width: int, digits: int) -> str:
    return f'{"-":>{width}}' if value is None else f'{value:>{width}.{digits}f}'


def _head(runner: Runner) -> torch.nn.Module:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model.head


def _reports(found: Partition, modality: np.ndarray, identities: Optional[np.ndarray],
             separate: bool) -> dict[str, ClusterReport]:
    """Describe clusters: as a whole, or by modality where no cluster has both."""
    whole = cluster_report(found.labels, modality, found.considered, identities)
    if not separate or whole.mixed:
        return dict(both=whole)
    return {
        m.name.lower():
        cluster_report(found.labels, modality, found.considered & (modality == m), identities)
        for m in Modality
    }


def _modality_problem(found: Partition, modality: np.ndarray) -> Optional[str]:
    """Say that a modality has no cluster, or None."""
    for value in Modality:
        rows = found.considered & (modality == value)
        if rows.any() and not (found.labels[rows] >= 0).any():
            return f'all {int(rows.sum())} {value.name.lower()} images are outliers'
    return None


def _cluster_problem(plans: list[MemoryPlan]) -> Optional[str]:
    """Say that a memory has nothing to tell apart, or None."""
    for plan in plans:
        if plan.num_clusters < 2:
            of = '' if plan.modality is None else f'{Modality(plan.modality).name.lower()} '
            return f'there is only {plan.num_clusters} {of}cluster'
    return None
