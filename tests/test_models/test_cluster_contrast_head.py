"""Losses and updates of the head that learns from clusters, against loops over images."""

import numpy as np
import pytest
import torch
from reference.cluster_memory import NaiveMemory, loss_and_grad, unit
from scipy import sparse

from mmvireid.models import ClusterContrastHead, ClusterMemory
from mmvireid.registry import MODELS
from mmvireid.structures import BatchInfo, Prototypes, PseudoLabels, Term

INTRA = dict(type='ClusterMemory', mode='hybrid', temperature=0.2)
CROSS = dict(INTRA, margin=0.0, num_candidates=4)
NUM_IMAGES, DIM = 60, 6


def head_with(**weights):
    torch.manual_seed(0)
    head = ClusterContrastHead(DIM, dict(
        intra=dict(memory=INTRA, loss_weight=weights.get('intra', 1.0)),
        cross=dict(memory=CROSS, loss_weight=weights.get('cross', 0.5))))
    return head.train()


def found():
    """Labels of both branches: one memory for each modality, one of modality prototypes."""
    torch.manual_seed(1)
    visible = torch.arange(NUM_IMAGES) < 30
    numbers = torch.randint(-1, 5, (NUM_IMAGES, ))
    numbers[:5] = numbers[30:35] = torch.arange(5)
    # Three clusters have prototypes of both modalities, and each modality one alone.
    groups = torch.tensor([0, 0, 1, 1, 2, 2, 3, 4])
    prototype_of = torch.tensor([[0, 2, 4, 6], [1, 3, 5, 7]])
    clusters = torch.randint(-1, 4, (NUM_IMAGES, ))
    targets = torch.where(
        clusters >= 0, prototype_of[(~visible).long(), clusters.clamp(min=0)], -1)
    return dict(
        intra=PseudoLabels(
            numbers.numpy(),
            dict(visible=Prototypes(torch.randn(5, DIM)),
                 infrared=Prototypes(torch.randn(5, DIM))),
            [Term('visible', torch.where(visible, numbers, -1), loss='visible'),
             Term('infrared', torch.where(visible, -1, numbers), loss='infrared')]),
        cross=PseudoLabels(
            clusters.numpy(), dict(split=Prototypes(torch.randn(8, DIM), groups)),
            [Term('split', targets)]))


def batch(branch=None):
    """Pooled features of twelve visible and eight infrared images, some without a cluster."""
    torch.manual_seed(2)
    index = torch.cat([torch.randint(0, 30, (12, )), torch.randint(30, 60, (8, ))])
    return torch.randn(20, DIM), BatchInfo(
        modality=(index >= 30).long(), index=index, branch=branch)


def naive_memory(prototypes, cfg):
    return NaiveMemory(prototypes.centroids, cfg['mode'], prototypes.groups, cfg['temperature'],
                       margin=cfg.get('margin', 0.2),
                       num_candidates=cfg.get('num_candidates', 50))


def naive_neck(head, pooled):
    x = pooled.double()
    x = (x - x.mean(0)) / (x.var(0, unbiased=False) + head.bnneck.eps).sqrt()
    return x * head.bnneck.weight.double()


@pytest.mark.parametrize('branch', ['intra', 'cross'])
@pytest.mark.parametrize('weight', [0.5, 2.0])
def test_losses_are_sums_over_modalities_of_means_over_images(branch, weight):
    head, labels = head_with(**{branch: weight}), found()
    head.reset(labels)
    pooled, info = batch(branch)
    losses = head.loss(pooled, info)
    assert set(losses) == {f'loss_{branch}_visible', f'loss_{branch}_infrared'}

    features = naive_neck(head, pooled)
    cfg = INTRA if branch == 'intra' else CROSS
    terms = labels[branch].terms
    for value, name in enumerate(('visible', 'infrared')):
        term = terms[value if branch == 'intra' else 0]
        targets = torch.where(info.modality == value, term.targets[info.index], -1)
        assert (targets >= 0).sum() < (info.modality == value).sum()  # outliers have no part
        memory = naive_memory(labels[branch].prototypes[term.memory], cfg)
        torch.testing.assert_close(losses[f'loss_{branch}_{name}'].double(),
                                   weight * memory.loss(features, targets), rtol=1e-5, atol=1e-6)


def test_the_gradient_reaches_the_features():
    head, labels = head_with(), found()
    head.reset(dict(cross=labels['cross']))
    pooled, info = batch('cross')
    pooled.requires_grad_()
    sum(head.loss(pooled, info).values()).backward()
    expected = pooled.detach().double().requires_grad_()
    features = naive_neck(head, expected)
    memory = naive_memory(labels['cross'].prototypes['split'], CROSS)
    targets = labels['cross'].terms[0].targets[info.index]
    each = [torch.where(info.modality == value, targets, -1) for value in (0, 1)]
    (0.5 * sum(memory.loss(features, y) for y in each)).backward()
    torch.testing.assert_close(pooled.grad.double(), expected.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('branch', ['intra', 'cross'])
def test_an_update_moves_the_memories_of_the_branch_by_all_its_images(branch):
    head, labels = head_with(), found()
    head.reset(labels)
    pooled, info = batch(branch)
    sum(head.loss(pooled, info).values()).backward()
    head.update_memories()

    features = naive_neck(head, pooled)
    cfg = INTRA if branch == 'intra' else CROSS
    for name, pseudo in labels.items():
        for term in pseudo.terms:
            memory = head.memories(name)[term.memory]
            prototypes = pseudo.prototypes[term.memory]
            if name != branch:
                start = torch.stack([unit(row) for row in prototypes.centroids])
                torch.testing.assert_close(memory.prototypes, start.repeat(2, 1))
                continue
            naive = naive_memory(prototypes, cfg)
            naive.update(features, term.targets[info.index])
            torch.testing.assert_close(
                memory.prototypes.double(), naive.prototypes, rtol=1e-4, atol=1e-5)
            # The same as one update of a memory by itself.
            alone = ClusterMemory(**{k: v for k, v in cfg.items() if k != 'type'})
            alone.reset(prototypes.centroids, prototypes.groups)
            alone.update(features.float(), term.targets[info.index])
            torch.testing.assert_close(memory.prototypes, alone.prototypes, rtol=1e-4, atol=1e-5)


def across(seed, soft):
    """Visible images move the infrared memory before the infrared ones do."""
    rng = np.random.default_rng(seed)
    own = {value: torch.from_numpy(np.where(np.arange(NUM_IMAGES) // 30 == value,
                                            rng.integers(-1, 5, NUM_IMAGES), -1))
           for value in (0, 1)}
    partner = torch.tensor([2, 2, -1, 0, 1, -1])  # of each visible cluster, and of outliers
    options = {}
    if soft:
        options = dict(
            soft_targets=sparse.csr_matrix(
                rng.dirichlet(np.ones(5), NUM_IMAGES) * (rng.random((NUM_IMAGES, 5)) < 0.6)),
            image_weights=torch.from_numpy(rng.random(NUM_IMAGES).astype(np.float32)))
    return PseudoLabels(
        torch.maximum(own[0], own[1]).numpy(),
        dict(visible=Prototypes(torch.from_numpy(rng.standard_normal((5, DIM)))),
             infrared=Prototypes(torch.from_numpy(rng.standard_normal((5, DIM))))),
        [Term('infrared', partner[own[0]], loss='cross', weight=0.25, **options),
         Term('visible', own[0], loss='visible', moves=False),
         Term('infrared', own[1], loss='infrared')])


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('gradient', ['fixed', 'moved'])
def test_terms_across_modalities_equal_loops(gradient, soft):
    """Losses are those before the step; the memories move in the order of the terms."""
    labels = across(3, soft)
    head = ClusterContrastHead(
        DIM, dict(all=dict(memory=dict(INTRA, mode='mean'), cross_gradient=gradient)))
    head.reset(dict(all=labels))
    _, info = batch('all')
    features = torch.from_numpy(np.random.default_rng(0).standard_normal((len(info), DIM)))
    losses = {}

    def total(x):
        losses.update(head.contrast(x, info))
        return sum(losses.values())

    _, grad = loss_and_grad(total, features)
    head.update_memories()

    naive = {name: naive_memory(prototypes, dict(INTRA, mode='mean'))
             for name, prototypes in labels.prototypes.items()}
    before = {name: {'mean': list(memory.rows['mean'])} for name, memory in naive.items()}
    expected_grad = torch.zeros_like(features)
    for term in labels.terms:
        y = term.targets[info.index]
        options = {}
        if term.soft_targets is not None:
            options = dict(
                soft_labels=torch.from_numpy(term.soft_targets.toarray())[info.index],
                weights=term.image_weights[info.index])
        fixed = naive_memory(labels.prototypes[term.memory], dict(INTRA, mode='mean'))
        memory = fixed if gradient == 'fixed' else naive[term.memory]
        loss, part = loss_and_grad(lambda v, m=memory, t=term, y=y, o=options: t.weight * m.loss(
            v, y, values_of=before[t.memory], **o), features)
        torch.testing.assert_close(losses[f'loss_all_{term.loss}'], loss, rtol=1e-6, atol=1e-6)
        expected_grad += part
        if term.moves:
            naive[term.memory].update(features, y)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-5, atol=1e-6)
    for name, memory in head.memories('all').items():
        torch.testing.assert_close(memory.prototypes, naive[name].prototypes)


@MODELS.register_module()
class MeanLength:
    """A loss without labels."""

    def __call__(self, features):
        return features.norm(dim=1).mean()


def test_memories_descriptors_and_losses_of_ones_own():
    labels = PseudoLabels(
        np.zeros(NUM_IMAGES, int),
        dict(deep=Prototypes(torch.eye(2), descriptor='deep'), base=Prototypes(torch.eye(DIM))),
        [Term('deep', torch.arange(NUM_IMAGES) % 2, loss='deep'),
         Term('base', torch.arange(NUM_IMAGES) % DIM, loss='base')])
    head = ClusterContrastHead(DIM, dict(all=dict(
        memory=INTRA, memories=dict(deep=dict(type='ClusterMemory', mode='hard')),
        losses=dict(length=dict(type='MeanLength')))))
    head.reset(dict(all=labels))
    pooled, info = batch('all')
    deep = torch.randn(len(info), 2)
    losses = head.loss(dict(base=pooled, deep=deep), info)
    assert {name: memory.mode for name, memory in head.memories('all').items()} == dict(
        deep='hard', base='hybrid')
    after = head.bnneck(pooled)
    alone = ClusterMemory('hard')
    alone.reset(torch.eye(2))
    torch.testing.assert_close(losses['loss_all_deep'], alone(deep, info.index % 2))
    torch.testing.assert_close(losses['loss_all_length'], sum(
        after[info.modality == value].norm(dim=1).mean() for value in (0, 1)))
    head.update_memories()
    alone.update(deep, info.index % 2)
    torch.testing.assert_close(head.memories('all')['deep'].prototypes, alone.prototypes)


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
        head.reset(dict(found(), **{'global': found()['intra']}))
    with pytest.raises(ValueError, match="'fixed' or 'moved', got 'new'"):
        ClusterContrastHead(DIM, dict(intra=dict(memory=INTRA, cross_gradient='new')))
    with pytest.raises(ValueError, match='takes no "memorie": did you mean "memor'):
        ClusterContrastHead(DIM, dict(intra=dict(memorie=INTRA)))
    with pytest.raises(ValueError, match='memory "shared", which has no prototypes'):
        PseudoLabels(np.zeros(2), {}, [Term('shared', torch.zeros(2))])
