"""Search, clustering and evaluation are exact in a program that computes less exactly."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmvireid.clustering import jaccard_distance
from mmvireid.evaluation import build_rankings, cosine_distance, k_reciprocal_rerank
from mmvireid.registry import RANKERS
from mmvireid.search import self_topk, topk
from mmvireid.structures import ImageSet, Modality
from mmvireid.utils.precision import full_precision

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.nn.functional.normalize(torch.randn(700, 256, generator=GENERATOR), dim=1)
# More equal rows than candidates fit: the self search falls back to plain products.
CROWDED = torch.cat([ROWS[:1].expand(600, -1), ROWS[1:100]])
MODALITY = np.arange(700) % 2


def every_ranking():
    """Rank by every scorer and every post-processor that is registered."""
    RANKERS.import_from_location()
    return build_rankings({
        name: dict(scorer=dict(type=name)) if hasattr(part, 'prepare') else dict(
            post=[dict(type=name)]) for name, part in RANKERS.module_dict.items()})


def images_of(rows, modality, names):
    zeros = np.zeros(len(rows), dtype=np.int64)
    return ImageSet(dict.fromkeys(names, rows), zeros, zeros, zeros + modality,
                    np.arange(len(rows)))


def autocast():
    return torch.autocast('cpu', dtype=torch.bfloat16)


@contextmanager
def medium():
    torch.set_float32_matmul_precision('medium')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision('highest')


@contextmanager
def new_settings():
    before = torch.backends.fp32_precision
    torch.backends.fp32_precision = 'tf32'
    try:
        yield
    finally:
        torch.backends.fp32_precision = before


#: Older versions of PyTorch lack the last one.
SURROUNDINGS = [autocast, medium] + [new_settings] * hasattr(torch.backends, 'fp32_precision')


@pytest.mark.parametrize('surroundings', SURROUNDINGS)
@pytest.mark.parametrize('compute', [
    lambda: topk(ROWS, ROWS[:300], 5),
    lambda: self_topk(ROWS, 5, groups=MODALITY, low_precision=False)[1],
    lambda: self_topk(CROWDED, 5, low_precision=True)[0],
    lambda: (cosine_distance(ROWS, ROWS), ),
    lambda: (k_reciprocal_rerank(ROWS[:200], ROWS[200:]), ),
    lambda: (torch.from_numpy(jaccard_distance(ROWS, modality=MODALITY).toarray()), ),
], ids=['topk', 'self', 'crowded', 'cosine', 'rerank', 'jaccard'])
def test_the_program_around_does_not_matter(compute, surroundings):
    expected = compute()
    with surroundings():
        found = compute()
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize('surroundings', SURROUNDINGS)
@pytest.mark.parametrize('ranking', every_ranking().values(), ids=lambda ranking: ranking.name)
def test_no_ranking_depends_on_the_program_around(ranking, surroundings):
    """Neither the whole matrix, as a test needs it, nor the nearest, as a search does."""
    def compute():
        for modality in Modality:
            query = images_of(ROWS[:200], modality, ranking.descriptors)
            images = images_of(ROWS[200:], 1 - modality, ranking.descriptors)
            prepared = ranking.prepare(images)
            yield prepared.rank(query).distance
            yield from prepared.nearest(query, 5)
            for result in ranking.rank_trials(query, images, [np.arange(300), np.arange(40)]):
                yield result.distance

    expected = list(compute())
    with surroundings():
        found = list(compute())
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
@pytest.mark.parametrize('level', ['highest', 'high', 'medium'])
def test_settings_come_back(device, level):
    like = SimpleNamespace(is_cuda=device == 'cuda', device=torch.device(device))
    torch.set_float32_matmul_precision(level)
    try:
        with pytest.raises(ArithmeticError), full_precision(like):
            raise ArithmeticError
        assert torch.get_float32_matmul_precision() == level
    finally:
        torch.set_float32_matmul_precision('highest')
