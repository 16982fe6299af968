"""The prototypes that clusters start with."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvireid.clustering import ModalityMemories, SharedMemory, SplitMemory


def case(seed, num, num_clusters):
    """Features, labels without gaps and modalities."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, num_clusters, num)
    found = sorted(set(labels[labels >= 0].tolist()))
    labels = np.array([found.index(x) if x >= 0 else -1 for x in labels.tolist()], np.int64)
    return rng.standard_normal((num, 3)), labels, rng.integers(0, 2, num)


def naive_plan(features, keys):
    """Mean of the images of each key, in ascending order; None is no key."""
    names = sorted({key for key in keys if key is not None})
    means = [np.mean([f for f, key in zip(features, keys) if key == name], axis=0)
             for name in names]
    return names, means, [names.index(key) if key is not None else -1 for key in keys]


def check(plan, features, keys):
    names, means, targets = naive_plan(features, keys)
    assert plan.targets.dtype == torch.int64
    assert plan.targets.tolist() == targets
    assert plan.centroids.shape == (len(names), 3)
    for row, mean in zip(plan.centroids.numpy(), means):
        np.testing.assert_allclose(row, mean, atol=1e-12)
    return names


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 6))
def test_plans_equal_naive_means(seed, num, num_clusters):
    features, labels, modality = case(seed, num, num_clusters)
    inputs = (torch.from_numpy(features), labels, modality)

    plans = ModalityMemories()(*inputs)
    assert [plan.modality for plan in plans] == [0, 1]
    for plan in plans:
        names = check(plan, features, [
            k if k >= 0 and m == plan.modality else None
            for k, m in zip(labels.tolist(), modality.tolist())])
        assert plan.groups is None
        assert plan.num_clusters == len(names)

    plan, = SharedMemory()(*inputs)
    names = check(plan, features, [k if k >= 0 else None for k in labels.tolist()])
    assert plan.groups is None
    assert plan.modality is None
    assert plan.num_clusters == len(names)

    plan, = SplitMemory()(*inputs)
    names = check(plan, features, [
        (k, m) if k >= 0 else None for k, m in zip(labels.tolist(), modality.tolist())])
    assert plan.groups.tolist() == [cluster for cluster, _ in names]
    assert plan.modality is None
    assert plan.num_clusters == len({cluster for cluster, _ in names})
