"""DART: clean probabilities, quadruplets, one training step, two networks, label noise."""

import re

import numpy as np
import pytest
import torch
from reference.dart import MARGIN, THRESHOLD, first_positive, second_positive
from torch import nn
from torch.nn import functional

from mmvireid.clustering import clean_probabilities
from mmvireid.datasets import LabelNoise, inject_label_noise
from mmvireid.models import AdaptiveQuadrupletLoss, CoTeachingReIdentifier, DARTHead
from mmvireid.models.utils import pairwise_euclidean
from mmvireid.structures import BatchInfo

pytestmark = pytest.mark.golden('dart')


def tensor(golden, name):
    return torch.from_numpy(golden[name])


def cases_of(golden, pattern):
    return sorted({match[1] for name in golden if (match := re.fullmatch(pattern, name))})


def close(value, expected, atol=1e-5):
    expected = torch.as_tensor(expected)
    torch.testing.assert_close(value.detach().to(expected), expected, atol=atol, rtol=0)


def gradient_close(grad, expected):
    close(grad, expected, max(1e-4 * float(np.abs(expected).max()), 1e-12))


def test_clean_probabilities(golden):
    for case in cases_of(golden, r'gmm_([a-z]+)_label_visible'):
        losses = {}
        for view in ('visible_1', 'visible_2', 'infrared'):
            label = tensor(golden, f'gmm_{case}_label_{view.split("_")[0]}')
            losses[view] = functional.cross_entropy(
                tensor(golden, f'gmm_{case}_logits_{view}'), label, reduction='none').numpy()
        found = dict(zip(('visible_1', 'visible_2'), clean_probabilities(
            np.stack([losses['visible_1'], losses['visible_2']]))))
        found['infrared'] = clean_probabilities(losses['infrared'])
        for view, prob in found.items():
            np.testing.assert_allclose(
                prob, golden[f'gmm_{case}_prob_{view}'], rtol=0, atol=1e-5)
            wrong = golden[f'gmm_{case}_is_noisy_{view.split("_")[0]}']
            assert not wrong.any() or prob[wrong].mean() < prob[~wrong].mean()


def anchor_draws(golden, case):
    return tensor(golden, f'{case}_positive'), tensor(golden, f'{case}_positive_2')


def compare_choices(golden, case, x, logits):
    """Compare which rows an anchor is compared with, and how they were drawn."""
    chosen = AdaptiveQuadrupletLoss().choose(
        pairwise_euclidean(x, x), logits, tensor(golden, f'{case}_ids'),
        tensor(golden, f'{case}_prob'), anchor_draws(golden, case))
    for name, rows in chosen._asdict().items():
        np.testing.assert_array_equal(rows.numpy(), golden[f'{case}_{name}'], err_msg=name)
    # The rules of the draws, applied to what the release drew, give what it took.
    ids, prob = golden[f'{case}_ids'], golden[f'{case}_prob']
    drawn = iter(golden[f'{case}_draws'].tolist())
    for i in np.flatnonzero(golden[f'{case}_branch'] >= 0):
        rows = np.flatnonzero(ids == ids[i])

        def draw(allowed):
            row = next(drawn)
            assert row in allowed
            return row

        assert first_positive(i, rows, draw) == golden[f'{case}_positive'][i]
        if golden[f'{case}_branch'][i] in (3, 4):
            assert second_positive(
                i, rows, prob >= THRESHOLD, draw) == golden[f'{case}_positive_2'][i]
    assert not list(drawn)


def test_adaptive_quadruplet_loss(golden):
    for case in cases_of(golden, r'(quad_[a-z_]+)_logits'):
        loss_of = AdaptiveQuadrupletLoss(margin=MARGIN, threshold=THRESHOLD)
        x, logits = tensor(golden, f'{case}_x').requires_grad_(), tensor(golden, f'{case}_logits')
        loss = loss_of(x, logits, tensor(golden, f'{case}_ids'), tensor(golden, f'{case}_prob'),
                       draws=anchor_draws(golden, case))
        loss.backward()
        close(loss, golden[f'{case}_loss'])
        gradient_close(x.grad, golden[f'{case}_grad'])
        assert loss_of.num_anchors == golden[f'{case}_num_anchors']
        assert loss_of.num_right == golden[f'{case}_num_right']
        compare_choices(golden, case, x.detach(), logits)


def test_training_step(golden):
    num_classes, dim = golden['step_classifier_weight'].shape
    head = DARTHead(num_classes, dim)
    with torch.no_grad():
        head.bnneck.weight.copy_(tensor(golden, 'step_bn_weight'))
        head.classifier.weight.copy_(tensor(golden, 'step_classifier_weight'))
    pool = tensor(golden, 'step_pool').requires_grad_()
    info = BatchInfo(modality=tensor(golden, 'step_modality'), label=tensor(golden, 'step_ids'),
                     index=torch.arange(len(pool)))
    head.set_confidence(tensor(golden, 'step_prob')[None])
    losses = head.loss(pool, info, draws=anchor_draws(golden, 'step'))
    close(losses['loss_ce'], golden['step_loss_id'])
    close(losses['loss_metric'], golden['step_loss_quad'])
    total = losses['loss_ce'] + losses['loss_metric']
    close(total, golden['step_total'])
    assert head.metric_loss.num_anchors == golden['step_num_anchors']
    total.backward()
    gradient_close(pool.grad, golden['step_grad_pool'])
    gradient_close(head.bnneck.weight.grad, golden['step_grad_bn_weight'])
    gradient_close(head.classifier.weight.grad, golden['step_grad_classifier_weight'])
    with torch.no_grad():
        logits = head(pool)[1]
    close(logits, golden['step_logits'])
    compare_choices(golden, 'step', pool.detach(), logits)


class FromPooled(nn.Module):
    """Stands for the network in front of a head: an image is its pooled feature."""

    def forward(self, images, modality):
        return images[:, 0, 0]


def test_similarity_of_two_networks(golden):
    dim = golden['inf_bn_weight'].shape[1]
    model = CoTeachingReIdentifier(
        backbone=dict(type=FromPooled), head=dict(type='DARTHead', num_classes=2, in_channels=dim))
    for member, neck in zip(model.members, range(2)):
        for name in ('weight', 'running_mean', 'running_var'):
            getattr(member.head.bnneck, name).data.copy_(
                tensor(golden, f'inf_bn_{name}')[neck])
    model.eval()
    found = {}
    for side in ('query', 'gallery'):
        pool = tensor(golden, f'inf_{side}_pool')
        each = []
        for member in range(2):
            images = pool[:, member, None, None]
            described = model.describe(images, torch.zeros(len(pool), dtype=torch.int64))
            each.append(described[f'member_{member + 1}'])
        found[side] = torch.stack(each).double().mean(0)  # not normalised again
    close(found['query'] @ found['gallery'].T, golden['inf_similarity'])


def test_label_noise(golden):
    """Other draws than ours, of the same form."""
    for case in cases_of(golden, r'(noise_\d+_[a-z]+)_true'):
        true, noisy, index = (golden[f'{case}_{name}'] for name in ('true', 'noisy', 'index'))
        rate = int(case.split('_')[1]) / 100
        ours, changed = inject_label_noise(true, rate, seed=0)
        twice = LabelNoise(rate)(true, np.zeros(len(true)))
        for labels in (noisy, ours, twice):
            assert (labels != true).sum() == len(index)
            assert set(labels.tolist()) <= set(true.tolist())
        assert changed.sum() == len(index)
        np.testing.assert_array_equal(np.flatnonzero(noisy != true), index)
