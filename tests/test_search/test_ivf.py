"""The approximate search says how good it was."""

import logging

import numpy as np
import pytest
import torch
from reference.features import people

from mmvireid.search import ivf_topk, topk


@pytest.fixture(scope='module')
def features():
    return torch.from_numpy(people(0, num_ids=60, visible=10, infrared=10, noise=0.3)[0])


@pytest.mark.parametrize('metric', ['inner_product', 'l2'])
def test_all_cells_give_the_exact_result(features, metric):
    scores, indices, recall = ivf_topk(features, features, 8, metric, num_lists=10, num_probes=10)
    wanted_scores, wanted = topk(features, features, 8, metric=metric)
    assert recall == 1
    torch.testing.assert_close(scores, wanted_scores, atol=1e-5, rtol=0)
    assert (indices == wanted).float().mean() > 0.99


def test_recall_is_the_share_of_true_neighbours(features):
    _, indices, recall = ivf_topk(features, features, 8, num_lists=30, num_probes=1)
    _, true = topk(features, features, 8)
    share = np.mean([len(set(a) & set(b)) / 8 for a, b in zip(indices.tolist(), true.tolist())])
    assert 0.5 < recall < 1
    # The sample is 256 of 1,200 queries.
    assert recall == pytest.approx(share, abs=0.06)


def test_queries_with_too_small_cells_are_searched_exactly(features):
    _, indices, _ = ivf_topk(features, features, 400, num_lists=30, num_probes=1)
    assert int(indices.min()) >= 0
    assert len(set(indices[0].tolist())) == 400


def test_backend_logs_its_recall(features, caplog):
    _, indices = topk(features.numpy(), features.numpy(), 5, backend='ivf')
    assert indices.shape == (1200, 5)
    record, = (r for r in caplog.records if r.name == 'mmvireid.search.ivf')
    # What Python shows without a word about logging.
    assert record.levelno >= logging.lastResort.level
    recall = ivf_topk(features, features, 5)[2]
    assert f'1200 images: recall@5 {recall:.4f} on 256 queries' in record.getMessage()
