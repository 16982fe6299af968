"""One training step of CIFT, its switches and its descriptors."""

import pytest
import torch
from reference.cift import DIRECTIONS

from mmvireid.models import (
    BNNeckHead,
    CIFTHead,
    HeteroCenterClusterLoss,
)
from mmvireid.models.heads.cift_head import LOSS_WEIGHTS
from mmvireid.structures import BatchInfo

BRANCHES = ('b', *DIRECTIONS)


def random_batch(num_ids=4, per_id=2, dim=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = 2 * num_ids * per_id
    ids = torch.arange(num_ids).repeat_interleave(per_id).repeat(2)
    return torch.rand(rows, dim, generator=generator), info_of(ids)


def info_of(ids):
    """Half of the images are visible, the other half infrared."""
    return BatchInfo(modality=(torch.arange(len(ids)) >= len(ids) // 2).long(), label=ids)


def test_without_counterfactual():
    head = CIFTHead(4, 8, counterfactual=False)
    losses = head.loss(*random_batch())
    assert head.counterfactual is None
    assert {name for name in losses if name.startswith('loss_')} == {
        'loss_ce_b', 'loss_hcc_euc', 'loss_hcc_kl_b', 'loss_ce_r2i', 'loss_hcc_kl_r2i',
        'loss_ce_i2r', 'loss_hcc_kl_i2r'}


def test_base_branch_alone():
    head = CIFTHead(4, 8, directions=())
    losses = head.loss(*random_batch())
    assert {name for name in losses if name.startswith('loss_')} == {
        'loss_ce_b', 'loss_hcc_euc', 'loss_hcc_kl_b'}
    assert set(head.predict(random_batch()[0])) == {'base'}


def test_loss_weights():
    torch.manual_seed(0)
    plain = CIFTHead(4, 8, counterfactual=False)
    changed = CIFTHead(4, 8, counterfactual=False,
                       loss_weights={'hcc_euc': 0.1, 'hcc_kl_b': 0, 'hcc_kl': 0})
    changed.load_state_dict(plain.state_dict())
    before, after = plain.loss(*random_batch()), changed.loss(*random_batch())
    assert {n for n in before if n not in after} == {
        'loss_hcc_kl_b', 'loss_hcc_kl_r2i', 'loss_hcc_kl_i2r'}
    torch.testing.assert_close(after['loss_hcc_euc'], 0.1 * before['loss_hcc_euc'])
    torch.testing.assert_close(after['loss_ce_r2i'], before['loss_ce_r2i'])


@pytest.mark.parametrize('loss_weights', [
    {'tie': 0}, {'ce': 0}, {'hcc_kl': 0}, {'ce': 0, 'hcc_kl': 0}, {'ce': 0, 'tie': 0},
    {'ce': 0, 'hcc_kl': 0, 'tie': 0}, {'ce_b': 0, 'hcc_kl_b': 0}, {'hcc_euc': 0},
    {'ce_b': 0, 'hcc_kl_b': 0, 'hcc_euc': 0, 'tie': 0},
    {kind: 0 for kind in LOSS_WEIGHTS if kind != 'hcc_euc'},
], ids=lambda weights: ' '.join(weights))
def test_a_loss_left_out_leaves_no_parameter_without_gradient(loss_weights):
    """DistributedDataParallel stops at a parameter that waits for its gradient in vain."""
    torch.manual_seed(0)
    head = CIFTHead(4, 8, noise='slot', batch_size=16, loss_weights=loss_weights)
    pooled, info = random_batch()
    losses = head.loss(pooled.requires_grad_(), info)
    for name in losses:
        kind = name[5:] if name[5:] in LOSS_WEIGHTS else name[5:-4]
        assert name == 'accuracy' or loss_weights.get(kind, 1), name
    sum(loss for name, loss in losses.items() if name.startswith('loss_')).backward()
    for name, parameter in head.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    assert (head.counterfactual is None) == ('tie' in loss_weights)
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.requires_grad)

    # All necks have seen the batch, so all descriptors are there.
    assert all(neck.num_batches_tracked == 1 for neck in head.bnnecks.values())
    descriptors = head.eval().predict(pooled.detach())
    assert set(descriptors) == {'base', 'r2i', 'i2r'}


def test_nothing_to_train():
    zero = dict.fromkeys(LOSS_WEIGHTS, 0)
    with pytest.raises(ValueError, match='nothing to train'):
        CIFTHead(4, 8, noise='shared', loss_weights=zero)
    with pytest.raises(ValueError, match='nothing to train'):
        CIFTHead(4, 8, directions=(), loss_weights={'ce_b': 0, 'hcc_kl_b': 0, 'hcc_euc': 0})
    head = CIFTHead(4, 8, noise='shared', loss_weights=zero,
                    metric_loss={'type': 'mmvireid.TripletLoss'})
    assert set(head.loss(*random_batch())) == {'loss_metric', 'accuracy'}


def test_indirect_effect_is_exact_under_autocast():
    """x - x* is far below x, where half precision has no digits for it."""
    torch.manual_seed(0)
    head = CIFTHead(4, 8, noise='slot', batch_size=16)
    # A classifier as wide as after training, blind to the mean of the features.
    weight = torch.randn(4, 8)
    head.classifiers['r2i'].weight.data = weight - weight.mean(1, keepdim=True)
    features, info = random_batch()
    features = 100 + features
    draws = torch.randn(10, 16, 8)
    with torch.no_grad():
        exact = head.direction_logits('r2i', features, info.modality, draws).indirect_effect
        for dtype in (torch.float32, torch.bfloat16):
            with torch.autocast('cpu', dtype=torch.bfloat16):
                effect = head.direction_logits(
                    'r2i', features.to(dtype), info.modality, draws).indirect_effect
            if dtype == torch.bfloat16:  # features that came in half precision
                exact = head.direction_logits(
                    'r2i', features.to(dtype).float(), info.modality, draws).indirect_effect
            scale = exact.abs().max()
            assert 0.01 < scale < 10
            torch.testing.assert_close(effect.float() / scale, exact / scale, atol=0.02, rtol=0)


def test_metric_loss_of_the_backbone():
    head = CIFTHead(4, 8, noise='shared',
                    metric_loss={'type': 'mmvireid.WeightedRegularizedTripletLoss'})
    assert head.loss(*random_batch())['loss_metric'] > 0


@pytest.mark.parametrize('head', [CIFTHead, BNNeckHead])
def test_a_metric_loss_may_take_the_modality(head):
    metric_loss = {'type': 'mmvireid.HeteroCenterClusterLoss', 'margin': 0.6}
    more = {'noise': 'shared'} if head is CIFTHead else {}
    pooled, info = random_batch()
    losses = head(4, 8, metric_loss=metric_loss, **more).loss(pooled, info)
    expected = HeteroCenterClusterLoss(margin=0.6)(pooled, info.label, info.modality)
    torch.testing.assert_close(losses['loss_metric'], expected)


def test_both_directions_draw_in_order():
    """All draws of r2i come before those of i2r, as in the reference step."""
    torch.manual_seed(0)
    head = CIFTHead(4, 8, noise='slot', batch_size=16, num_draws=3)
    torch.manual_seed(5)
    free = head.loss(*random_batch())
    torch.manual_seed(5)
    draws = {'r2i': torch.randn(3, 16, 8), 'i2r': torch.randn(3, 16, 8)}
    fixed = head.loss(*random_batch(), draws=draws)
    for name, loss in free.items():
        torch.testing.assert_close(loss, fixed[name], rtol=0, atol=0)


def test_predict_gives_unit_descriptors():
    head = CIFTHead(4, 8, noise='shared').eval()
    pooled = random_batch()[0]
    descriptors = head.predict(pooled)
    assert set(descriptors) == {'base', 'r2i', 'i2r'}
    for rows in descriptors.values():
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(pooled)))
    expected = torch.nn.functional.normalize(head.bnnecks['b'](pooled))
    torch.testing.assert_close(descriptors['base'], expected)


def test_autocast_trains_without_nan():
    torch.manual_seed(0)
    head = CIFTHead(4, 8, noise='slot', batch_size=16)
    pooled, info = random_batch()
    pooled.requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = head.loss(pooled, info)
    total = sum(loss for name, loss in losses.items() if name.startswith('loss_'))
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(pooled.grad).all()
    for parameter in head.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_neck_bias_is_frozen_and_graph_is_exposed():
    head = CIFTHead(4, 8, noise='shared', graph=dict(tau_het=0.3, tau_hom=0.5, num_neighbors=6))
    assert head.graph == {'tau_het': 0.3, 'tau_hom': 0.5, 'num_neighbors': 6}
    assert head.requires_both_modalities
    frozen = {name for name, p in head.named_parameters() if not p.requires_grad}
    assert frozen == {f'bnnecks.{branch}.bias' for branch in BRANCHES}


def test_wrong_names():
    with pytest.raises(ValueError, match='i2i'):
        CIFTHead(4, 8, directions=('i2i', ))
    with pytest.raises(ValueError, match='triplet'):
        CIFTHead(4, 8, loss_weights={'triplet': 1})
