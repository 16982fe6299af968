"""The head of MPANet: three classifiers, and the means of two of them."""

import pytest
import torch
from reference.mpanet import naive_kl
from torch.nn import functional

from mmvireid.checkpoints.weights import training_only_weights
from mmvireid.models import BNNeckHead, MutualMeanHead
from mmvireid.structures import BatchInfo

MEANS = ('visible_mean', 'infrared_mean')


def random_batch(rows=8, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pooled = torch.rand(rows, dim, generator=generator).requires_grad_()
    modality = (torch.arange(rows) >= rows // 2).long()
    return pooled, BatchInfo(modality=modality, label=torch.arange(rows) % (rows // 2))


def head_of(seed=0, **keys):
    torch.manual_seed(seed)
    return MutualMeanHead(5, 6, **keys)


def train(losses):
    sum(loss for name, loss in losses.items() if name.startswith('loss_')).backward()


def test_the_start():
    head = head_of()
    for initialised in (head, head_of(seed=1)):
        initialised.init_weights()
        assert (initialised.bnneck.weight == 1).all()
        assert torch.equal(initialised.visible_mean, initialised.visible_classifier.weight)
        assert torch.equal(initialised.infrared_mean, initialised.infrared_classifier.weight)
        assert not torch.equal(initialised.visible_mean, initialised.infrared_mean)
    # PyTorch's own scheme, uniform within 1 / sqrt(D).
    assert 0.3 < head.classifier.weight.abs().max() <= 6**-0.5


@pytest.mark.parametrize('epochs', [[0], [0, 98, 99, 139]])
def test_means_after_some_steps_are_those_of_the_closed_form(epochs):
    """0.2 until epoch 99 of the release, which counts from 1, then 0.2 * 100 / (epoch + 1)."""
    head = head_of()
    pooled, info = random_batch()
    expected = {name: getattr(head, name).clone() for name in MEANS}
    for epoch in epochs:
        head.set_epoch(epoch)
        for _ in range(3):
            rate = 0.2 if epoch < 99 else 0.2 * 100 / (epoch + 2)
            for name in MEANS:
                weight = getattr(head, name.replace('mean', 'classifier')).weight
                expected[name] = (1 - rate) * expected[name] + rate * weight.detach()
            head.loss(pooled, info)
            for name in MEANS:
                torch.testing.assert_close(getattr(head, name), expected[name])
            with torch.no_grad():
                for parameter in head.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))


def test_means_move_once_for_each_step_of_the_optimiser():
    head = head_of()
    pooled, info = random_batch()
    with torch.no_grad():
        head.visible_classifier.weight.add_(1)
    states = []
    for moved in (False, True, True):  # two batches of one step, then two steps
        head.loss(pooled, info)
        states.append(head.visible_mean.clone())
        head.weights_moved(moved)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[1], states[2])
    head.eval().loss(pooled, info)
    assert torch.equal(head.visible_mean, states[2])


def test_means_are_saved_and_learn_nothing():
    head = head_of()
    assert set(MEANS) <= set(head.state_dict())
    assert not set(MEANS) & {name for name, _ in head.named_parameters()}
    assert training_only_weights(head) == {
        *MEANS, 'classifier.weight', 'visible_classifier.weight', 'infrared_classifier.weight'}


def test_divergence_pulls_the_own_classifiers_alone():
    """Each from both of its modality's images, and the means never."""
    head = head_of(metric_loss=None, sid_weight=0.0)
    with torch.no_grad():  # the means lag behind
        head.visible_mean.add_(torch.randn(5, 6))
        head.infrared_mean.add_(torch.randn(5, 6))
    pooled, info = random_batch()
    loss = head.loss(pooled, info)['loss_kl']
    with torch.no_grad():
        feature = functional.batch_norm(pooled, None, None, head.bnneck.weight, training=True)
        visible = info.modality == 0
        own, other = torch.cat([feature[visible] @ head.visible_classifier.weight.T,
                                feature[~visible] @ head.infrared_classifier.weight.T]), torch.cat(
            [feature[visible] @ head.infrared_mean.T, feature[~visible] @ head.visible_mean.T])
        torch.testing.assert_close(loss, 2.5 * naive_kl(own, other))
    loss.backward()
    assert head.visible_classifier.weight.grad.any()
    assert head.infrared_classifier.weight.grad.any()
    assert pooled.grad.any()
    assert head.classifier.weight.grad is None
    assert head.visible_mean.grad is head.infrared_mean.grad is None


@pytest.mark.parametrize('only', [0, 1])
def test_a_batch_of_one_modality(only):
    head = head_of()
    pooled, info = random_batch()
    info = BatchInfo(modality=torch.full_like(info.modality, only), label=info.label)
    losses = head.loss(pooled, info)
    missing = 'loss_ce_infrared' if only == 0 else 'loss_ce_visible'
    present = 'loss_ce_visible' if only == 0 else 'loss_ce_infrared'
    assert losses['loss_kl'] == losses[missing] == 0
    assert losses[present] > 1
    train(losses)
    for name, parameter in head.named_parameters():
        if parameter.requires_grad:  # and distributed training waits for all of them
            assert parameter.grad.isfinite().all(), name


def test_weights_of_the_losses():
    head, half = head_of(), head_of(sid_weight=0.5, kl_weight=5.0)
    before, after = head.loss(*random_batch()), half.loss(*random_batch())
    assert set(before) == {'loss_metric', 'loss_ce', 'loss_ce_visible', 'loss_ce_infrared',
                           'loss_kl', 'accuracy'}
    for name, factor in dict(loss_ce=1, loss_ce_visible=0.5, loss_ce_infrared=0.5, loss_kl=2,
                             loss_metric=1).items():
        torch.testing.assert_close(after[name], factor * before[name])


@pytest.mark.parametrize(('keys', 'losses'), [
    (dict(kl_weight=0.0), {'loss_ce', 'loss_ce_visible', 'loss_ce_infrared', 'loss_metric'}),
    (dict(sid_weight=0.0), {'loss_ce', 'loss_kl', 'loss_metric'}),
    (dict(sid_weight=0.0, kl_weight=0.0, metric_loss=None), {'loss_ce'}),
])
def test_a_loss_left_out_leaves_no_parameter_without_gradient(keys, losses):
    head = head_of(**keys)
    found = head.loss(*random_batch())
    assert {name for name in found if name.startswith('loss_')} == losses
    train(found)
    for name, parameter in head.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_descriptor_is_that_of_a_plain_head():
    head, plain = head_of().eval(), BNNeckHead(5, 6)
    plain.load_state_dict(head.state_dict(), strict=False)
    pooled, _ = random_batch()
    torch.testing.assert_close(head.predict(pooled), plain.eval().predict(pooled))
