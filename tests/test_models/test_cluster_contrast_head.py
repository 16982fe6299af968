"""Losses and updates of the head that learns from clusters, against loops over images."""

from types import SimpleNamespace

import pytest
import torch
from reference.cluster_memory import NaiveMemory, unit

from mmvireid.models import ClusterContrastHead, ClusterMemory
from mmvireid.structures import BatchInfo

INTRA = dict(type='ClusterMemory', mode='hybrid', temperature=0.2)
CROSS = dict(INTRA, margin=0.0, num_candidates=4)
NUM_IMAGES, DIM = 60, 6


def head_with(**weights):
    torch.manual_seed(0)
    head = ClusterContrastHead(DIM, dict(
        intra=dict(memory=INTRA, loss_weight=weights.get('intra', 1.0)),
        cross=dict(memory=CROSS, loss_weight=weights.get('cross', 0.5))))
    return head.train()


def plans():
    """Memories of both branches: one for each modality, one for modality prototypes."""
    torch.manual_seed(1)
    visible = torch.arange(NUM_IMAGES) < 30
    numbers = torch.randint(-1, 5, (NUM_IMAGES, ))
    numbers[:5] = numbers[30:35] = torch.arange(5)
    own = [SimpleNamespace(centroids=torch.randn(5, DIM), groups=None, modality=value,
                           targets=torch.where(rows, numbers, -1))
           for value, rows in ((0, visible), (1, ~visible))]
    # Three clusters have prototypes of both modalities, and each modality one alone.
    groups = torch.tensor([0, 0, 1, 1, 2, 2, 3, 4])
    prototype_of = torch.tensor([[0, 2, 4, 6], [1, 3, 5, 7]])
    clusters = torch.randint(-1, 4, (NUM_IMAGES, ))
    targets = torch.where(
        clusters >= 0, prototype_of[(~visible).long(), clusters.clamp(min=0)], -1)
    both = SimpleNamespace(
        centroids=torch.randn(8, DIM), groups=groups, modality=None, targets=targets)
    return dict(intra=own, cross=[both])


def batch(branch=None):
    """Pooled features of twelve visible and eight infrared images, some without a cluster."""
    torch.manual_seed(2)
    index = torch.cat([torch.randint(0, 30, (12, )), torch.randint(30, 60, (8, ))])
    return torch.randn(20, DIM), BatchInfo(
        modality=(index >= 30).long(), index=index, branch=branch)


def naive_memory(plan, cfg):
    return NaiveMemory(plan.centroids, cfg['mode'], plan.groups, cfg['temperature'],
                       margin=cfg.get('margin', 0.2),
                       num_candidates=cfg.get('num_candidates', 50))


def naive_neck(head, pooled):
    x = pooled.double()
    x = (x - x.mean(0)) / (x.var(0, unbiased=False) + head.bnneck.eps).sqrt()
    return x * head.bnneck.weight.double()


@pytest.mark.parametrize('branch', ['intra', 'cross'])
@pytest.mark.parametrize('weight', [0.5, 2.0])
def test_losses_are_sums_over_modalities_of_means_over_images(branch, weight):
    head, all_plans = head_with(**{branch: weight}), plans()
    for name, parts in all_plans.items():
        head.reset(name, parts)
    pooled, info = batch(branch)
    found = head.loss(pooled, info)
    assert set(found) == {f'loss_{branch}_visible', f'loss_{branch}_infrared'}

    features = naive_neck(head, pooled)
    cfg = INTRA if branch == 'intra' else CROSS
    for value, name in enumerate(('visible', 'infrared')):
        plan = all_plans[branch][value if branch == 'intra' else 0]
        labels = torch.tensor([
            int(plan.targets[i]) if m == value else -1
            for i, m in zip(info.index, info.modality)])
        assert (labels >= 0).sum() < (info.modality == value).sum()  # outliers have no part
        expected = weight * naive_memory(plan, cfg).loss(features, labels)
        torch.testing.assert_close(
            found[f'loss_{branch}_{name}'].double(), expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_reaches_the_features():
    head, all_plans = head_with(), plans()
    head.reset('cross', all_plans['cross'])
    pooled, info = batch('cross')
    pooled.requires_grad_()
    sum(head.loss(pooled, info).values()).backward()
    expected = pooled.detach().double().requires_grad_()
    features = naive_neck(head, expected)
    memory, targets = naive_memory(all_plans['cross'][0], CROSS), all_plans['cross'][0].targets
    labels = [torch.where(info.modality == value, targets[info.index], -1) for value in (0, 1)]
    (0.5 * sum(memory.loss(features, y) for y in labels)).backward()
    torch.testing.assert_close(pooled.grad.double(), expected.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('branch', ['intra', 'cross'])
def test_an_update_moves_the_memories_of_the_branch_by_all_its_images(branch):
    head, all_plans = head_with(), plans()
    for name, parts in all_plans.items():
        head.reset(name, parts)
    pooled, info = batch(branch)
    sum(head.loss(pooled, info).values()).backward()
    head.update_memories()

    features = naive_neck(head, pooled)
    cfg = INTRA if branch == 'intra' else CROSS
    for name, parts in all_plans.items():
        for plan, memory in zip(parts, head._branches[name].memories, strict=True):
            if name != branch:
                start = torch.stack([unit(row) for row in plan.centroids])
                torch.testing.assert_close(memory.prototypes, start.repeat(2, 1))
                continue
            naive = naive_memory(plan, cfg)
            naive.update(features, plan.targets[info.index])
            torch.testing.assert_close(
                memory.prototypes.double(), naive.prototypes, rtol=1e-4, atol=1e-5)
            # The same as one update of a memory by itself.
            alone = ClusterMemory(**{k: v for k, v in cfg.items() if k != 'type'})
            alone.reset(plan.centroids, plan.groups)
            alone.update(features.float(), plan.targets[info.index])
            torch.testing.assert_close(memory.prototypes, alone.prototypes, rtol=1e-4, atol=1e-5)


def test_the_descriptor_is_the_unit_feature_after_the_neck():
    head = head_with().eval()
    head.bnneck.running_mean.copy_(torch.arange(DIM))
    pooled = batch()[0]
    found = head.predict(pooled)['base']
    torch.testing.assert_close(found, torch.nn.functional.normalize(head.bnneck(pooled)))
    assert not any('memor' in name or 'branch' in name for name in head.state_dict())


def test_calls_out_of_order_are_said():
    head = head_with()
    with pytest.raises(RuntimeError, match='needs a PseudoLabelHook'):
        head.loss(*batch())
    with pytest.raises(RuntimeError, match='no pseudo labels have been set'):
        head.loss(*batch('intra'))
    with pytest.raises(RuntimeError, match='a loss to have been computed'):
        head.update_memories()
    with pytest.raises(ValueError, match=r"no branch \"global\", only \['cross', 'intra'\]"):
        head.reset('global', [])
