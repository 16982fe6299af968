"""Gather what a report shows, from a metric that has just evaluated a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmvireid.evaluation import CrossModalityMetric, Trial, summarize
from mmvireid.evaluation.functional import RANKING_PROTOCOLS
from mmvireid.structures import ImageSet
from mmvireid.utils.errors import EvaluationError
from mmvireid.utils.paths import path_as_text

from ..embedding import choose_images, embed
from .distances import distance_panels
from .queries import ImagePool, describe_queries

#: t-SNE needs neighbours.
_FEWEST_POINTS = 5


def collect_report(metric: CrossModalityMetric,
                   *,
                   explore: Sequence[str] | None = None,
                   topk: int = 10,
                   map_identities: int = 24,
                   map_images: int = 15,
                   clustering: Sequence[dict] | None = None
                   ) -> tuple[dict[str, Any], list[str]]:
    """Collect numbers, ranked galleries, distances and a map of the descriptors.

    Numbers are those of the metric's last evaluation, for all settings and trials. What is
    shown query by query comes from the first trial of the settings to explore.

    Args:
        metric: a metric after its evaluation.
        explore: settings whose queries are shown; the metric's first when None.
        topk: gallery images shown for each query.
        map_identities: people on the map of descriptors (t-SNE).
        map_images: images of each of them in each modality, at most.
        clustering: records of an unsupervised run, as its ``clustering.json`` holds them.

    Returns:
        What the page needs, made of lists, dicts, numbers and texts only; and the paths of
        the images that it refers to by number.

    Raises:
        EvaluationError: if nothing was evaluated, a setting is unknown, or the images have
            no paths.
    """
    images = metric.images
    if images is None or not metric.details:
        raise EvaluationError('a report needs a metric that has evaluated a test set.')
    if not images.img_path:
        raise EvaluationError('a report needs the paths of the test images.')
    explore = list(explore or metric.settings[:1])
    unknown = sorted(set(explore) - set(metric.settings))
    if unknown:
        raise EvaluationError(
            f'the report cannot explore {", ".join(unknown)}; the test has the settings '
            f'{", ".join(metric.settings)}.')
    pool = ImagePool(images)
    trials = {setting: metric.trials(images, setting) for setting in metric.settings}
    data = dict(
        dataset=metric.prefix or metric.default_prefix,
        rankings=list(metric.rankings),
        labels={name: ranking.label for name, ranking in metric.rankings.items()},
        counts_people=RANKING_PROTOCOLS[metric.protocol].count_identities,
        tables=[_table(metric, setting, trials[setting]) for setting in metric.settings],
        views=[_view(metric, setting, trials[setting][0], pool, topk) for setting in explore],
        map=_map(images, pool, map_identities, map_images),
        clustering=list(clustering) if clustering else None)
    data['images'] = dict(pool.annotations(), path=_shorten(list(map(path_as_text, pool.paths))))
    return data, pool.paths


def _table(metric: CrossModalityMetric, setting: str, trials: Sequence[Trial]) -> dict[str, Any]:
    """Give all numbers of a setting."""
    rows = {}
    for ranking in metric.rankings:
        details = metric.details[setting, ranking]
        scores = {name: metric.score(outcome) for name, outcome in details.items()}
        curves = np.array([outcome.cmc for outcome in details.values()])
        rows[ranking] = dict(
            summary=summarize(list(scores.values())),
            trials=scores,
            cmc=(100 * curves.mean(0)).round(3).tolist(),
            cmc_std=(100 * curves.std(0)).round(3).tolist(),
            valid={name: outcome.num_valid_queries for name, outcome in details.items()})
    return dict(
        setting=setting,
        title=metric.SETTINGS[setting],
        trials=[trial.name for trial in trials],
        num_queries=len(trials[0].query),
        num_gallery=len(trials[0].gallery),
        rows=rows)


def _view(metric: CrossModalityMetric, setting: str, trial: Trial, pool: ImagePool,
          topk: int) -> dict[str, Any]:
    """Give what was found for each query of a trial, under every ranking."""
    query = pool.add(trial.query)
    rankings = {}
    for ranking in metric.rankings:
        result = metric.first_result(setting, ranking)
        rankings[ranking] = dict(
            describe_queries(
                result,
                metric.details[setting, ranking][trial.name],
                trial.gallery,
                pool,
                protocol=metric.protocol,
                topk=topk),
            panels=distance_panels(result, metric.images),
            processed=bool(metric.rankings[ranking].uses))
    return dict(setting=setting, trial=trial.name, query=query, rankings=rankings)


def _map(images: ImageSet, pool: ImagePool, identities: int, per_modality: int) -> dict | None:
    """Lay some people's descriptors out in the plane, or give None where there are too few."""
    rows = choose_images(images.identity, images.modality, identities, per_modality, seed=0)
    if len(rows) < _FEWEST_POINTS:
        return None
    points = embed(images.descriptors['base'][torch.from_numpy(rows)].numpy(), seed=0)
    # A square that the page scales; the axes of t-SNE have no unit.
    points = (points - points.min(0)) / max(float(np.ptp(points, axis=0).max()), 1e-12)
    return dict(image=pool.add(rows), x=points[:, 0].round(4).tolist(),
                y=points[:, 1].round(4).tolist())


def _shorten(paths: Sequence[str]) -> list[str]:
    """Leave out the folders that all paths share."""
    folders = [path.replace('\\', '/').split('/') for path in paths]
    shared = 0
    while folders and len({tuple(parts[:shared + 1]) for parts in folders}) == 1 and (
            shared + 1 < min(map(len, folders))):
        shared += 1
    return ['/'.join(parts[shared:]) for parts in folders]
