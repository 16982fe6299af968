"""The outcome of each query on disk, so that two runs can be compared query by query."""

import json
import os
from collections.abc import Mapping

import numpy as np

from mmvireid.evaluation.functional import RankMetrics
from mmvireid.structures import ImageSet
from mmvireid.utils.errors import EvaluationError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.paths import path_as_text


def write_query_file(path: str | os.PathLike, dataset: str | None, images: ImageSet,
                     queries: Mapping[str, Mapping[str, np.ndarray]],
                     details: Mapping[tuple[str, str], Mapping[str, RankMetrics]]) -> None:
    """Write rank of the first match and average precision of each query.

    Args:
        path: JSON file.
        dataset: name of the dataset.
        images: all test images.
        queries: setting -> trial -> rows of the query images, shape ``(Q,)``.
        details: (setting, ranking) -> trial -> outcome. A query without a match has
            rank 0 and no average precision.
    """
    used = np.unique(np.concatenate([rows for t in queries.values() for rows in t.values()]))
    document = dict(
        dataset=dataset,
        images=dict(
            path=[path_as_text(images.img_path[row]) for row in used],
            identity=images.identity[used].tolist(),
            camera=images.camera[used].tolist()),
        results=[
            dict(
                setting=setting,
                ranking=ranking,
                trial=trial,
                query=np.searchsorted(used, queries[setting][trial]).tolist(),
                first_match_rank=metrics.first_match_rank.tolist(),
                average_precision=[
                    round(value, 5) if value == value else None
                    for value in metrics.average_precision.tolist()
                ]) for (setting, ranking), trials in details.items()
            for trial, metrics in trials.items()
        ])
    write_atomically(json.dumps(document).encode(), path)


def read_query_file(path: str | os.PathLike) -> dict:
    """Read what :func:`write_query_file` wrote.

    Args:
        path: JSON file.

    Returns:
        The document, with ``dataset``, ``images`` and ``results``.

    Raises:
        EvaluationError: if the file is missing or something else.
    """
    try:
        with open(path, encoding='utf-8') as file:
            document = json.load(file)
        if {'dataset', 'images', 'results'} <= set(document):
            return document
    except FileNotFoundError:
        raise EvaluationError(
            f'there is no file "{path}": write it with tools/test.py --dump-queries.') from None
    except (ValueError, TypeError):
        pass  # said below, with every other content
    raise EvaluationError(
        f'"{path}" does not hold the queries of a test: write it with tools/test.py '
        '--dump-queries.')
