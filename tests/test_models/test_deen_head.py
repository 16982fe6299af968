"""DEENHead and the orthogonality of its branches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.deen import naive_orthogonality
from torch.nn import functional

from mmvireid.models import (
    BNNeckHead,
    BranchOrthogonalityLoss,
    CrossModalityReIdentifier,
    DEENHead,
)
from mmvireid.structures import BatchInfo, ReIDDataSample
from mmvireid.utils.errors import ConfigError, InputError

INFO = BatchInfo(modality=torch.arange(12) // 6, label=torch.tensor([3, 3, 5, 5, 1, 1] * 2))


def pooled(n=12, branches=3, dim=8, seed=0):
    return torch.rand(n, branches, dim, generator=torch.Generator().manual_seed(seed))


def head_of(**keys):
    torch.manual_seed(0)
    return DEENHead(num_classes=7, in_channels=8, **keys)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.floats(0.1, 10))
def test_orthogonality(seed, branches, scale):
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 1 + branches, 5)))
    loss = BranchOrthogonalityLoss()(x)
    torch.testing.assert_close(loss, torch.as_tensor(naive_orthogonality(x)).double())
    torch.testing.assert_close(BranchOrthogonalityLoss()(scale * x), scale**2 * loss)


def test_orthogonal_branches_cost_nothing():
    axes = torch.eye(3)
    x = torch.stack([torch.ones(3), 2 * axes[0], 5 * axes[2]])[None]
    assert BranchOrthogonalityLoss()(x) == 0
    assert BranchOrthogonalityLoss()(x[:, :2]) == 0


def test_losses_do_not_depend_on_the_order_of_the_images():
    head, x = head_of(), pooled()
    losses = head.loss(x, INFO)
    assert sorted(losses) == [
        'accuracy', 'loss_ce', 'loss_metric', 'loss_orthogonality', 'loss_pair_mining']
    order = torch.from_numpy(np.random.default_rng(1).permutation(12))
    torch.testing.assert_close(head.loss(x[order], INFO[order]), losses)


def test_all_rows_are_examples_of_their_person():
    head, x = head_of(), pooled()
    rows, info = x.transpose(0, 1).flatten(0, 1), INFO[torch.arange(12).repeat(3)]
    torch.manual_seed(0)
    plain = BNNeckHead(7, 8, metric_loss=dict(type='TripletLoss', margin=0.3))
    expected = plain.loss(rows, info)
    losses = head.loss(x, INFO)
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss)
    torch.testing.assert_close(head.bnneck.running_var, plain.bnneck.running_var)


def test_losses_of_the_branches_have_weights():
    x = pooled()
    losses = head_of(pair_mining_weight=1, orthogonality_weight=1).loss(x, INFO)
    weighted = head_of().loss(x, INFO)
    torch.testing.assert_close(weighted['loss_pair_mining'], 0.8 * losses['loss_pair_mining'])
    torch.testing.assert_close(weighted['loss_orthogonality'],
                               0.01 * losses['loss_orthogonality'])
    one, other = (head_of(pair_mining_weight=1).loss(x[:, [0, branch]], INFO)
                  for branch in (1, 2))
    torch.testing.assert_close(
        losses['loss_pair_mining'], one['loss_pair_mining'] + other['loss_pair_mining'])


@pytest.mark.parametrize('weights', [{}, dict(pair_mining_weight=0, orthogonality_weight=0)])
def test_without_generated_branches_it_is_a_bnneck_head(weights):
    head, x = head_of(descriptors=dict(base=(0, 1)), **weights), pooled(branches=1)
    torch.manual_seed(0)
    plain = BNNeckHead(7, 8, metric_loss=dict(type='TripletLoss', margin=0.3))
    torch.testing.assert_close(head.loss(x, INFO), plain.loss(x[:, 0], INFO), rtol=0, atol=0)
    torch.testing.assert_close(
        head.eval().predict(x), plain.eval().predict(x[:, 0]), rtol=0, atol=0)


def test_a_cosine_is_the_mean_of_six():
    head = head_of(descriptors=dict(base=(0.5, 0.5), weighted=(0.1, 0.9), pooled=(2, 0)))
    for seed in range(3):
        head(pooled(seed=seed))  # statistics
    head.eval()
    query, gallery = pooled(4, seed=7), pooled(5, seed=8)
    cosines = [
        torch.stack([functional.cosine_similarity(q[:, None, b], g[None, :, b], dim=2)
                     for b in range(3)])
        for q, g in ((query, gallery), (head(query)[0], head(gallery)[0]))]
    found = {name: rows @ head.predict(gallery)[name].T
             for name, rows in head.predict(query).items()}
    mean = torch.stack(cosines).mean((0, 1))
    torch.testing.assert_close(found['base'], mean)
    torch.testing.assert_close(found['weighted'],
                               (0.1 * cosines[0] + 0.9 * cosines[1]).mean(0))
    torch.testing.assert_close(found['pooled'], cosines[0].mean(0))
    widths = {name: rows.shape[1] for name, rows in head.predict(query).items()}
    assert widths == dict(base=48, weighted=48, pooled=24)


@pytest.mark.parametrize(('descriptors', 'message'), [
    (dict(base=(0.5, -0.5)), r'descriptors.base needs two weights.*got \(0.5, -0.5\)'),
    (dict(base=(0, 0)), 'not both zero'),
    (dict(base=(1, )), 'needs two weights'),
    (dict(weighted=(0.1, 0.9)), r"has \['weighted'\], but needs a \"base\""),
])
def test_descriptors_that_cannot_be(descriptors, message):
    with pytest.raises(ConfigError, match=message):
        head_of(descriptors=descriptors)


MODEL = dict(
    backbone=dict(
        type='CrossModalityBackbone', modality_specific='stem',
        aggregation=dict(stages=(0, 1, 2)), expansion=dict(after_stage=2),
        trunk=dict(type='mmpretrain.ResNet', depth=18, base_channels=4, stem_channels=4,
                   strides=(1, 2, 2, 1))),
    neck=dict(type='BranchPooling'),
    head=dict(type='DEENHead', num_classes=7, in_channels=32))


def samples(labels, modality):
    return [ReIDDataSample(metainfo=dict(img_path=f'{i}.jpg', label=label, modality=m))
            for i, (label, m) in enumerate(zip(labels, modality))]


def test_every_parameter_gets_a_gradient_but_those_that_a_normalisation_takes_out():
    torch.manual_seed(0)
    model = CrossModalityReIdentifier(**MODEL).train()
    data_samples = samples(INFO.label.tolist(), INFO.modality.tolist())
    losses = model(torch.randn(12, 3, 64, 32), data_samples, mode='loss')
    model.parse_losses(losses)[0].backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or parameter.grad.isfinite().all()


def test_batches_with_nothing_to_mine():
    model, images = CrossModalityReIdentifier(**MODEL), torch.randn(4, 3, 64, 32)
    with pytest.raises(ConfigError, match='DEENHead learns from images of both modalities at '
                                          'once, but a batch of 4 images has no infrared one'):
        model(images, samples([1, 1, 2, 2], [0] * 4), mode='loss')
    with pytest.raises(InputError, match='batch has 1 visible identity'):
        model(images, samples([1] * 4, [0, 0, 1, 1]), mode='loss')
    model.head = DEENHead(7, 32, pair_mining_weight=0)
    losses = model(images, samples([1, 1, 2, 2], [0] * 4), mode='loss')
    assert 'loss_pair_mining' not in losses
