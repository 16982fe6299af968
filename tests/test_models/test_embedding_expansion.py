"""Diverse embedding expansion, and the neck that brings its branches together."""

import pytest
import torch
from reference.deen import naive_expansion
from torch.nn import functional

from mmvireid.models import BranchPooling, DiverseEmbeddingExpansion


def maps(n=3, channels=8):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, channels, 5, 4, generator=generator, dtype=torch.float64)


def test_the_first_rows_are_the_maps_themselves():
    x = maps()
    assert torch.equal(DiverseEmbeddingExpansion(8).double().eval()(x)[:3], x)


def test_equals_loops():
    torch.manual_seed(0)
    expansion = DiverseEmbeddingExpansion(8).double().eval()
    parameters = {name.replace('.', '_'): p for name, p in expansion.named_parameters()}
    torch.testing.assert_close(expansion(maps()), naive_expansion(maps(), parameters))


def test_dropout_is_on_everything():
    torch.manual_seed(0)
    expansion = DiverseEmbeddingExpansion(8, dropout=0.3).double()
    kept = expansion.eval()(maps(40))
    out = expansion.train()(maps(40))
    for rows, before in zip(out.chunk(3), kept.chunk(3)):
        dropped = rows == 0
        assert dropped.double().mean().item() == pytest.approx(0.3, abs=0.03)
        torch.testing.assert_close(rows[~dropped], before[~dropped] / 0.7)


@pytest.mark.parametrize('num_branches', [1, 3])
def test_branches_of_an_image_come_together(num_branches):
    x = maps(4 * num_branches)
    pooled = BranchPooling(num_branches)(x)
    assert pooled.shape == (4, num_branches, 8)
    for image in range(4):
        for branch in range(num_branches):
            torch.testing.assert_close(
                pooled[image, branch], functional.adaptive_avg_pool2d(
                    x[branch * 4 + image], 1).flatten())
