"""The cluster memory against loops, and what breaks memories elsewhere."""

from copy import copy, deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.cluster_memory import NaiveMemory, loss_and_grad
from torch.utils._python_dispatch import TorchDispatchMode

from mmvireid.models import ClusterMemory
from mmvireid.registry import MODELS

MODES = ('mean', 'hard', 'hybrid')


def random_case(seed, num_prototypes=9, num_images=14, dim=6, outliers=True):
    """Centroids, groups of one to several prototypes, features and labels, in float64."""
    rng = np.random.default_rng(seed)
    centroids = torch.from_numpy(rng.standard_normal((num_prototypes, dim)))
    groups = torch.from_numpy(rng.integers(0, max(1, num_prototypes // 2), num_prototypes))
    features = torch.from_numpy(rng.standard_normal((num_images, dim)) * 2)
    labels = torch.from_numpy(
        rng.integers(-1 if outliers else 0, num_prototypes, num_images))
    return centroids, groups, features, labels


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), mode=st.sampled_from(MODES), grouped=st.booleans(),
       num_prototypes=st.integers(1, 12), num_images=st.integers(1, 20),
       num_candidates=st.integers(1, 14), momentum=st.sampled_from([0.0, 0.1, 0.7, 1.0]),
       margin=st.sampled_from([0.0, 0.2, 3.0]), by_sample=st.booleans())
def test_equals_loops(seed, mode, grouped, num_prototypes, num_images, num_candidates, momentum,
                      margin, by_sample):
    centroids, groups, x, y = random_case(seed, num_prototypes, num_images)
    groups = groups if grouped else None
    options = {'temperature': 0.3, 'momentum': momentum, 'margin': margin,
               'num_candidates': num_candidates,
               'mean_update': 'sample' if by_sample and mode != 'hard' else 'cluster'}
    memory = ClusterMemory(mode, **options)
    memory.reset(centroids, groups)
    naive = NaiveMemory(centroids, mode, groups, **options)
    assert memory.num_prototypes == num_prototypes
    for _ in range(2):
        loss, grad = loss_and_grad(lambda v: memory(v, y), x)
        expected, expected_grad = loss_and_grad(lambda v: naive.loss(v, y), x)
        torch.testing.assert_close(loss, expected, atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(grad, expected_grad, atol=1e-10, rtol=1e-10)
        memory.update(x, y)
        naive.update(x, y)
        torch.testing.assert_close(memory.prototypes, naive.prototypes, atol=1e-10, rtol=1e-10)
        x = x.flip(0) - 0.5


def filled(mode='hybrid', grouped=False, seed=0, **options):
    """A memory with prototypes, and a batch in float32."""
    centroids, groups, x, y = random_case(seed)
    memory = ClusterMemory(mode, **options)
    memory.reset(centroids.float(), groups if grouped else None)
    return memory, x.float(), y


each_loss = pytest.mark.parametrize('grouped', [False, True], ids=['plain', 'grouped'])


@each_loss
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(dtype, grouped):
    memory, x, y = filled(grouped=grouped)
    expected = NaiveMemory(memory.prototypes[:9], 'hybrid', memory.groups)
    x = x.to(dtype)
    loss, grad = loss_and_grad(lambda v: memory(v, y), x)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert grad.dtype == dtype
    torch.testing.assert_close(loss.double(), expected.loss(x, y), atol=1e-5, rtol=1e-5)
    memory.update(x, y)
    expected.update(x, y)
    assert memory.prototypes.dtype == torch.float32
    torch.testing.assert_close(
        memory.prototypes.double(), expected.prototypes, atol=1e-6, rtol=1e-5)


def test_centroids_in_half_precision_are_kept_in_float32():
    memory = ClusterMemory('hard')
    memory.reset(torch.randn(3, 4).bfloat16())
    assert memory.prototypes.dtype == torch.float32
    torch.testing.assert_close(memory.prototypes.norm(dim=1), torch.ones(3))


@each_loss
def test_autocast_computes_in_full_precision(grouped):
    memory, x, y = filled(grouped=grouped)
    other = deepcopy(memory)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = memory(x, y)
        memory.update(x, y)
    torch.testing.assert_close(inside, other(x, y), rtol=0, atol=0)
    other.update(x, y)
    torch.testing.assert_close(memory.prototypes, other.prototypes, rtol=0, atol=0)


@each_loss
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('num_images', [0, 5])
def test_no_image_with_a_label(mode, grouped, num_images):
    memory, x, _ = filled(mode, grouped)
    before = memory.prototypes.clone()
    x, y = x[:num_images], torch.full((num_images, ), -1)
    loss, grad = loss_and_grad(lambda v: memory(v, y), x)
    memory.update(x, y)
    assert loss == 0
    assert grad.shape == x.shape
    assert (grad == 0).all()
    torch.testing.assert_close(memory.prototypes, before, rtol=0, atol=0)


@each_loss
@pytest.mark.parametrize('options', [
    {'mode': 'mean'}, {'mode': 'hard'}, {'mode': 'hybrid'},
    {'mode': 'hybrid', 'mean_update': 'sample'}], ids=str)
def test_outliers_change_nothing(grouped, options):
    memory, x, y = filled(grouped=grouped, **options)
    alone = deepcopy(memory)
    keep = y >= 0
    assert not keep.all()
    torch.testing.assert_close(memory(x, y), alone(x[keep], y[keep]))
    memory.update(x, y)
    alone.update(x[keep], y[keep])
    torch.testing.assert_close(memory.prototypes, alone.prototypes)


def test_the_margin_is_for_mean_prototypes_without_groups():
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    centroids = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # Scores 1 and 0: CE = log(1 + exp(-1)) = 0.3133.
    ce = 0.31326169
    for mode, groups, margin, expected in (
            ('mean', None, 0.2, ce - 0.2), ('mean', None, 0.5, 0), ('hard', None, 0.2, ce),
            ('hybrid', None, 0.2, ce - 0.1), ('hybrid', None, 0.5, ce / 2),
            ('mean', torch.tensor([0, 1]), 0.2, ce), ('hybrid', torch.tensor([0, 1]), 0.2, ce)):
        memory = ClusterMemory(mode, temperature=1.0, margin=margin)
        memory.reset(centroids, groups)
        assert memory(x, y).item() == pytest.approx(expected, abs=1e-6), (mode, groups, margin)


def test_candidates_of_the_multi_positive_loss_by_hand():
    centroids = torch.eye(4)
    memory = ClusterMemory('mean', temperature=1.0, num_candidates=3)
    memory.reset(centroids, torch.tensor([0, 0, 1, 2]))
    x = torch.tensor([[0.8, 0.0, 0.0, 0.6]])
    # Positives score 0.8 and 0, and one more place is for the best of 0 and 0.6.
    total = np.log(np.exp(0.8) + np.exp(0.0) + np.exp(0.6))
    assert memory(x, torch.tensor([1])).item() == pytest.approx(total - 0.4)


def test_backward_after_an_update_sees_the_prototypes_of_the_loss():
    memory, x, y = filled()
    _, expected = loss_and_grad(lambda v: memory(v, y), x)
    x.requires_grad_()
    loss = memory(x, y)
    memory.update(x, y)
    loss.backward()
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=0)
    assert not memory.prototypes.requires_grad


def test_the_memory_keeps_its_own_copy():
    centroids, groups = torch.eye(3), torch.tensor([0, 0, 1])
    memory = ClusterMemory('mean')
    memory.reset(centroids, groups)
    centroids.zero_()
    groups.zero_()
    torch.testing.assert_close(memory.prototypes, torch.eye(3))
    assert memory.groups.tolist() == [0, 0, 1]
    memory.reset(torch.eye(2))
    assert memory.groups is None
    assert memory.num_prototypes == 2


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), mode=st.sampled_from(MODES), soft=st.booleans(),
       weighted=st.booleans(), grouped=st.booleans(), moved=st.booleans())
def test_soft_labels_weights_and_moved_prototypes_equal_loops(seed, mode, soft, weighted, grouped,
                                                              moved):
    centroids, groups, x, y = random_case(seed)
    groups = groups if grouped and not soft else None
    rng = np.random.default_rng(seed)
    options = {}
    if soft:
        options['soft_labels'] = torch.from_numpy(rng.dirichlet(np.ones(9), len(y)))
    if weighted:
        options['weights'] = torch.from_numpy(rng.random(len(y)))
    memory = ClusterMemory(mode, temperature=0.3)
    memory.reset(centroids, groups)
    naive = NaiveMemory(centroids, mode, groups, temperature=0.3)
    later, naive_later, expected_options = None, naive, dict(options)
    if moved:
        later, naive_later = copy(memory), deepcopy(naive)
        later.update(x.flip(0), y)
        naive_later.update(x.flip(0), y)
        expected_options['values_of'] = naive.rows
    loss, grad = loss_and_grad(lambda v: memory.loss(v, y, moved=later, **options), x)
    expected, expected_grad = loss_and_grad(
        lambda v: naive_later.loss(v, y, **expected_options), x)
    torch.testing.assert_close(loss, expected, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(grad, expected_grad, atol=1e-10, rtol=1e-10)
    # The copy has moved alone.
    torch.testing.assert_close(memory.prototypes, naive.prototypes, atol=1e-12, rtol=0)


def test_soft_labels_of_one_target_and_weights_of_one_change_nothing():
    memory, x, y = filled()
    soft = torch.nn.functional.one_hot(y.clamp(min=0), 9).float()
    torch.testing.assert_close(memory(x, y, soft, torch.ones(len(y))), memory(x, y))
    # An image of weight 0 still counts in the mean.
    kept = (y == y.max()).float()
    assert memory(x, y, weights=kept) < memory(x[y == y.max()], y[y == y.max()])


def test_prototypes_keep_their_length_until_they_move():
    centroids = torch.tensor([[0.6, 0.0], [0.0, 0.9]])
    memory = ClusterMemory('hybrid', temperature=1.0, margin=0.0)
    memory.reset(centroids, normalize=False)
    centroids.zero_()
    x, y = torch.tensor([[3.0, 0.0]]), torch.tensor([0])
    assert memory(x, y).item() == pytest.approx(np.log(1 + np.exp(-0.6)))
    memory.update(x, y)
    expected = torch.tensor([[1.0, 0.0], [0.0, 0.9]])
    torch.testing.assert_close(memory.prototypes, expected.repeat(2, 1))


class Operations(TorchDispatchMode):
    """Write down each operation, and whether the host would read its result."""

    def __init__(self):
        super().__init__()
        self.names, self.waits = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.names.append(name)
        masks = [i for i in args[1] if i is not None] if name in ('index', 'index_put_') else []
        if name in ('_local_scalar_dense', 'nonzero', 'masked_select', '_unique2', 'equal') or any(
                i.dtype == torch.bool for i in masks):
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


@each_loss
@pytest.mark.parametrize('mode', MODES)
def test_no_loop_over_images_and_nothing_read_by_the_host(mode, grouped):
    counts = []
    for num_images in (4, 64):
        centroids, groups, x, y = random_case(0, num_images=num_images)
        memory = ClusterMemory(mode)
        memory.reset(centroids, groups if grouped else None)
        x.requires_grad_()
        with Operations() as operations:
            memory(x, y).backward()
            memory.update(x, y)
        assert operations.waits == []
        counts.append(len(operations.names))
    assert counts[0] == counts[1] > 0


def test_steps_of_the_sample_update_are_the_images_of_the_largest_cluster():
    counts = []
    for clusters in (1, 8):
        memory = ClusterMemory('mean', mean_update='sample')
        memory.reset(torch.eye(8))
        y = torch.arange(clusters).repeat(3)
        with Operations() as operations:
            memory.update(torch.randn(len(y), 8), y)
        assert operations.waits == ['_local_scalar_dense']
        counts.append(len(operations.names))
    assert counts[0] == counts[1]


def test_bad_arguments():
    for options, message in (({'mode': 'guess'}, 'mode'), ({'temperature': 0}, 'temperature'),
                             ({'momentum': 1.5}, 'momentum'),
                             ({'num_candidates': 0}, 'num_candidates'),
                             ({'mean_update': 'often'}, 'mean_update'),
                             ({'mode': 'hard', 'mean_update': 'sample'}, 'no mean prototypes')):
        with pytest.raises(ValueError, match=message):
            ClusterMemory(**options)
    memory = ClusterMemory()
    for call in (memory, memory.update):
        with pytest.raises(RuntimeError, match='reset'):
            call(torch.ones(1, 2), torch.tensor([0]))
    with pytest.raises(ValueError, match='K > 0'):
        memory.reset(torch.empty(0, 4))
    with pytest.raises(ValueError, match='3 centroids got groups'):
        memory.reset(torch.eye(3), torch.tensor([0, 1]))
    memory.reset(torch.eye(2), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match='soft labels are for memories without groups'):
        memory(torch.eye(2), torch.tensor([0, 1]), torch.eye(2))


def test_built_from_a_config():
    memory = MODELS.build({'type': 'mmvireid.ClusterMemory', 'mode': 'hybrid', 'momentum': 0.2})
    assert isinstance(memory, ClusterMemory)
    assert "mode='hybrid'" in repr(memory)
