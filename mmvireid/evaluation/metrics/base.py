"""The metric all protocols share: embed once, rank often."""

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, gather_object, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmvireid.evaluation.functional import RankMetrics, rank_metrics
from mmvireid.evaluation.query_file import write_query_file
from mmvireid.evaluation.rankings import build_rankings
from mmvireid.evaluation.report import format_table, summarize
from mmvireid.structures import ImageSet, RetrievalResult
from mmvireid.structures.retrieval_result import ANNOTATIONS
from mmvireid.utils.errors import ConfigError, EvaluationError, UsageError
from mmvireid.utils.files import write_atomically


class Trial(NamedTuple):
    """Rows of the test images that one trial compares.

    Attributes:
        name: what tells this trial from the others.
        query: shape ``(Q,)`` int64.
        gallery: shape ``(G,)`` int64.
    """

    name: str
    query: np.ndarray
    gallery: np.ndarray


class CrossModalityMetric(BaseMetric):
    """Rank galleries and report CMC, mAP and mINP, mean and std over trials.

    Each test image is embedded once. What is reported is a table: ``settings``
    (search modes or directions; their galleries are slices of the embedded images)
    by ``rankings`` (:mod:`mmvireid.evaluation.rankings`: a descriptor or another scorer, and
    post-processors of its distance such as re-ranking).

    Metrics are named ``<prefix>/<setting>/<ranking>/<R1|R5|...|mAP|mINP>`` in
    percent, with ``_std`` appended for the standard deviation over trials. A ranking that
    compares more than two images is marked in the printed table, as in ``re_ranked (all
    queries, whole gallery)``, and in ``out_file`` by ``uses`` and ``transductive``.

    Args:
        settings: which settings of the protocol to report.
        rankings: name -> ``dict(descriptor=..., post=[...])``, or with ``scorer=dict(...)`` in
            place of ``descriptor``. ``descriptor`` is a name, or a dict with one for each
            modality of the queries; ``post`` are configs of post-processors, applied in
            order. Defaults to the descriptor ``base``. Kept as built, name ->
            :class:`mmvireid.evaluation.Ranking`.
        ranks: which ranks of the CMC curve to report.
        max_rank: length of the CMC curve.
        out_file: JSON file for all numbers, per trial too.
        queries_file: JSON file for the outcome of each query, for
            ``tools/analysis_tools/compare_runs.py``.
        prefix: name of the dataset in the metric names.

    Raises:
        ConfigError: for an unknown setting.
        ConfigError: for a ranking that cannot be understood.
    """

    #: rule set of :func:`mmvireid.evaluation.rank_metrics`
    protocol: str
    #: setting -> one line for the reader
    SETTINGS: Mapping[str, str] = {}

    def __init__(self,
                 settings: Sequence[str] | None = None,
                 rankings: Mapping[str, dict] | None = None,
                 ranks: Sequence[int] = (1, 5, 10, 20),
                 max_rank: int = 20,
                 out_file: str | None = None,
                 queries_file: str | None = None,
                 prefix: str | None = None) -> None:
        super().__init__(collect_device='cpu', prefix=prefix)
        settings = [settings] if isinstance(settings, str) else list(settings or self.SETTINGS)
        unknown = sorted(set(settings) - set(self.SETTINGS))
        if unknown:
            raise ConfigError(
                f'{type(self).__name__} has no setting {", ".join(unknown)}; '
                f'choose from {", ".join(self.SETTINGS)}')
        self.settings = settings
        self.rankings = build_rankings(rankings)
        self.ranks = tuple(ranks)
        self.max_rank = max(max_rank, *self.ranks)
        self.out_file = out_file
        self.queries_file = queries_file
        #: all images of the last evaluation, on the main process
        self.images: ImageSet | None = None
        #: (setting, ranking) -> trial -> outcome of each query in the last evaluation
        self.details: dict[tuple[str, str], dict[str, RankMetrics]] = {}

    # ------------------------------------------------------------ collecting
    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep descriptors and annotations of a batch.

        Args:
            data_batch: not used.
            data_samples: predicted :class:`ReIDDataSample` as dicts.
        """
        rows = {
            name: torch.stack([sample['descriptors'][name] for sample in data_samples]).cpu()
            for name in data_samples[0]['descriptors']
        }
        annotations = {
            name: np.array([sample[name] for sample in data_samples], dtype=np.int64)
            for name in ANNOTATIONS
        }
        paths = [sample['img_path'] for sample in data_samples]
        self.results.append(dict(descriptors=rows, img_path=paths, **annotations))

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the images of all ranks and compute the metrics.

        Ranks see padded, interleaved shares of the dataset; images are put back in
        order by their index, and each counts once.

        Args:
            size: number of images of the dataset.

        Returns:
            The metrics, the same on every rank.
        """
        batches, self.results = self.results, []
        gathered = gather_object(batches, dst=0)
        metrics: list[dict | None] = [None]
        if is_main_process():
            images = _merge([batch for rank in gathered for batch in rank])
            if len(images) != size:
                raise UsageError(
                    f'{len(images)} of {size} test images have a descriptor; the test '
                    'dataloader must visit every image')
            self.images = images
            values = self.compute_metrics(images)
            metrics[0] = {
                f'{self.prefix}/{name}' if self.prefix else name: value
                for name, value in values.items()
            }
        broadcast_object_list(metrics)
        return metrics[0]

    # --------------------------------------------------------------- ranking
    @abstractmethod
    def trials(self, images: ImageSet, setting: str) -> list[Trial]:
        """Choose the queries and the gallery of each trial of a setting.

        Args:
            images: all test images.
            setting: one of ``settings``.

        Returns:
            One entry for each trial.
        """

    def rank(self, images: ImageSet, trials: Sequence[Trial],
             ranking: str) -> Iterator[RetrievalResult]:
        """Rank the gallery of each trial.

        Trials with the same queries are ranked together, so that a scorer can share work
        among their galleries.

        Args:
            images: all test images.
            trials: queries and their galleries.
            ranking: name of one of ``rankings``.

        Yields:
            The result of each trial, after all post-processors.
        """
        for _, group in groupby(trials, key=lambda trial: trial.query.tobytes()):
            group = list(group)
            yield from self.rankings[ranking].rank_trials(
                images[group[0].query], images, [trial.gallery for trial in group])

    def first_result(self, setting: str, ranking: str) -> RetrievalResult:
        """Rank the first trial of the last evaluation again, to look at it.

        Only the main process holds the images.

        Args:
            setting: one of ``settings``.
            ranking: name of one of ``rankings``.

        Returns:
            All queries, and the gallery of that trial.

        Raises:
            EvaluationError: if there is no such ranking.
        """
        if ranking not in self.rankings:
            raise EvaluationError(
                f'there is no ranking "{ranking}" to draw; the evaluator has '
                f'{", ".join(self.rankings)}.')
        trials = self.trials(self.images, setting)[:1]
        return next(self.rank(self.images, trials, ranking))

    def compute_metrics(self, results: ImageSet) -> dict[str, float]:
        """Evaluate every setting, ranking and trial.

        Args:
            results: all test images.

        Returns:
            Mean and standard deviation over trials, in percent.
        """
        scores: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
        valid: dict[str, dict[str, int]] = {}
        rows: dict[str, dict[str, np.ndarray]] = {}
        self.details = {}
        for setting in self.settings:
            trials = self.trials(results, setting)
            for name, query, gallery in trials:
                if not len(query) or not len(gallery):
                    empty = 'query' if not len(query) else 'gallery'
                    raise EvaluationError(
                        f'the {setting} test has no {empty} image in trial {name}: check the '
                        'test split of the dataset.')
            for ranking in self.rankings:
                ranked = self.rank(results, trials, ranking)
                outcome = {t.name: self.measure(result) for t, result in zip(trials, ranked)}
                self.details[setting, ranking] = outcome
                scores[setting, ranking] = {t: self.score(m) for t, m in outcome.items()}
                valid[setting] = {t: m.num_valid_queries for t, m in outcome.items()}
            rows[setting] = {trial.name: trial.query for trial in trials}
        summary = {key: summarize(list(trials.values())) for key, trials in scores.items()}
        queries = {s: len(next(iter(trials.values()))) for s, trials in rows.items()}
        self._report(scores, summary, queries, valid)
        if self.queries_file:
            write_query_file(self.queries_file, self.prefix, results, rows, self.details)
        return {
            f'{setting}/{ranking}/{name}': value
            for (setting, ranking), values in summary.items()
            for name, value in values.items()
        }

    def measure(self, result: RetrievalResult) -> RankMetrics:
        """Judge one trial by the rules of the protocol.

        Args:
            result: the ranking of the trial.

        Returns:
            Averages, and what each query contributed.

        Raises:
            ValueError: if no query has a match.
        """
        return rank_metrics(
            result.distance,
            result.query.identity,
            result.gallery.identity,
            result.query.camera,
            result.gallery.camera,
            protocol=self.protocol,
            max_rank=self.max_rank)

    def score(self, metrics: RankMetrics) -> dict[str, float]:
        """Name the reported numbers of one trial, in percent.

        Args:
            metrics: outcome of the trial.

        Returns:
            Metrics by name.
        """
        values = {f'R{rank}': 100 * float(metrics.cmc[rank - 1]) for rank in self.ranks}
        values.update(mAP=100 * metrics.mAP, mINP=100 * metrics.mINP)
        return values

    def _report(self, scores: dict, summary: dict, queries: dict, valid: dict) -> None:
        """Print the table and write the file that was asked for."""
        title = {s: self.SETTINGS[s] for s in self.settings}
        for setting in self.settings:
            rows = {ranking.label: summary[setting, name]
                    for name, ranking in self.rankings.items()}
            num = len(scores[setting, next(iter(self.rankings))])
            fewest = min(valid[setting].values())
            note = '' if fewest == queries[setting] else (
                f'; {fewest} of {queries[setting]} queries have a match, the others are left out')
            MMLogger.get_current_instance().info(
                f'{title[setting]}, {num} trial{"s" * (num > 1)}{note}\n{format_table(rows)}')
        if self.out_file:
            document = [
                dict(
                    dataset=self.prefix,
                    setting=setting,
                    ranking=ranking,
                    uses=sorted(self.rankings[ranking].uses),
                    transductive=self.rankings[ranking].transductive,
                    num_queries=queries[setting],
                    num_valid_queries=valid[setting],
                    summary=summary[setting, ranking],
                    trials=trials) for (setting, ranking), trials in scores.items()
            ]
            write_atomically(json.dumps(document, indent=2).encode(), self.out_file)


def _merge(batches: Sequence[dict]) -> ImageSet:
    """Put the batches of all ranks in dataset order, each image once."""
    if not batches:
        raise UsageError('the test dataloader gave no image')
    index = np.concatenate([batch['sample_idx'] for batch in batches])
    index, first = np.unique(index, return_index=True)
    rows = torch.from_numpy(first)
    paths = [path for batch in batches for path in batch['img_path']]
    annotations = {
        name: np.concatenate([batch[name] for batch in batches])[first]
        for name in ANNOTATIONS
    }
    descriptors = {
        name: torch.cat([batch['descriptors'][name] for batch in batches])[rows]
        for name in batches[0]['descriptors']
    }
    return ImageSet(descriptors, img_path=[paths[i] for i in first], **annotations)
