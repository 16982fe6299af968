"""Search, clustering and evaluation are exact in a program that computes less exactly."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmvireid.clustering import jaccard_distance
from mmvireid.evaluation.functional import k_reciprocal_rerank
from mmvireid.evaluation.functional.distance import cosine_distance
from mmvireid.search import self_topk, topk
from mmvireid.utils.precision import full_precision

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.nn.functional.normalize(torch.randn(700, 256, generator=GENERATOR), dim=1)
# More equal rows than candidates fit: the self search falls back to plain products.
CROWDED = torch.cat([ROWS[:1].expand(600, -1), ROWS[1:100]])
MODALITY = np.arange(700) % 2


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
