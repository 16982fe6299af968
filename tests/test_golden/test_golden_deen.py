"""DEEN: aggregation, expansion, pair mining, one training step, inference."""

import re

import numpy as np
import pytest
import torch

from mmvireid.models import (
    BranchOrthogonalityLoss,
    BranchPooling,
    CenterGuidedPairMiningLoss,
    CrossModalityReIdentifier,
    DEENHead,
    DiverseEmbeddingExpansion,
    MultiStageFeatureAggregation,
)
from mmvireid.structures import BatchInfo

pytestmark = pytest.mark.golden('deen')


def tensor(golden, name):
    return torch.from_numpy(golden[name])


def close(actual, expected):
    atol = 1e-5 * max(1, float(np.abs(expected).max()))
    torch.testing.assert_close(actual.detach(), torch.from_numpy(expected), atol=atol, rtol=0)


def gradient_close(actual, expected):
    atol = 1e-4 * float(np.abs(expected).max())
    torch.testing.assert_close(actual, torch.from_numpy(expected), atol=atol, rtol=0)


def fill(module, golden, prefix):
    """Load parameters and buffers that are stored under their names with underscores."""
    state = module.state_dict()
    for name in state:
        if name.rpartition('.')[2] != 'num_batches_tracked':
            state[name] = tensor(golden, f'{prefix}_{name.replace(".", "_")}')
    module.load_state_dict(state)
    return module


def gradients_close(module, golden, prefix):
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    for name, grad in gradients.items():
        expected = golden[f'{prefix}_grad_{name.replace(".", "_")}']
        if name in ('channel.proj.bias', 'pixel.proj.bias'):
            # A batch normalisation follows and takes it out: zero but for rounding.
            scale = gradients[name.replace('bias', 'weight')].abs().max()
            assert grad.abs().max() < 1e-4 * scale
            assert np.abs(expected).max() < 1e-4 * scale
        else:
            gradient_close(grad, expected)


def aggregation_of(golden, prefix):
    high, low = golden[f'{prefix}_high'], golden[f'{prefix}_low']
    block = MultiStageFeatureAggregation(
        high.shape[1], low.shape[1], stride=low.shape[2] // high.shape[2])
    return fill(block, golden, prefix)


def test_aggregation(golden):
    for case in sorted({name.split('_')[1] for name in golden if name.startswith('mfa_')}):
        prefix = f'mfa_{case}'
        block = aggregation_of(golden, prefix).train()
        high, low = (tensor(golden, f'{prefix}_{name}').requires_grad_()
                     for name in ('high', 'low'))
        channel_out = block.channel(high, low)
        close(channel_out, golden[f'{prefix}_channel_out'])

        block = aggregation_of(golden, prefix).train()
        out = block(high, low)
        close(out, golden[f'{prefix}_out'])
        (out * tensor(golden, f'{prefix}_upstream')).sum().backward()
        gradient_close(high.grad, golden[f'{prefix}_grad_high'])
        gradient_close(low.grad, golden[f'{prefix}_grad_low'])
        gradients_close(block, golden, prefix)
        for name, part in (('channel', block.channel.bn), ('pixel', block.pixel.bn)):
            for value in ('running_mean', 'running_var'):
                close(getattr(part, value), golden[f'{prefix}_after_{name}_bn_{value}'])

        close(aggregation_of(golden, prefix).eval()(high, low), golden[f'{prefix}_out_eval'])


def expansion_of(golden, prefix, channels):
    return fill(DiverseEmbeddingExpansion(channels), golden, prefix)


def test_expansion(golden):
    x = tensor(golden, 'dee_x').requires_grad_()
    expansion = expansion_of(golden, 'dee', x.shape[1]).eval()
    out = expansion(x)
    close(out, golden['dee_out'])
    (out * tensor(golden, 'dee_upstream')).sum().backward()
    gradient_close(x.grad, golden['dee_grad_x'])
    gradients_close(expansion, golden, 'dee')


def test_pair_mining(golden):
    ids, modality = tensor(golden, 'cpm_ids'), tensor(golden, 'cpm_modality')
    for case in sorted({name.split('_')[1] for name in golden
                        if re.fullmatch('cpm_[a-z]+_loss', name)}):
        real, generated = (tensor(golden, f'cpm_{case}_{name}').requires_grad_()
                           for name in ('real', 'generated'))
        loss = CenterGuidedPairMiningLoss()(real, generated, ids, modality)
        close(loss, golden[f'cpm_{case}_loss'])
        loss.backward()
        gradient_close(real.grad, golden[f'cpm_{case}_grad_real'])
        gradient_close(generated.grad, golden[f'cpm_{case}_grad_generated'])


def by_branch(rows):
    """Turn (N, 3, D) into rows of the original images, then of each branch."""
    return rows.transpose(0, 1).flatten(0, 1)


def test_training_step(golden):
    info = BatchInfo(modality=tensor(golden, 'step_modality'), label=tensor(golden, 'step_ids'))
    num_classes, channels = golden['step_classifier_weight'].shape
    maps = [tensor(golden, f'step_map_{name}').requires_grad_()
            for name in ('visible', 'infrared')]
    expansion = expansion_of(golden, 'step_dee', channels)
    expansion.dropout.p = 0
    head = DEENHead(num_classes, channels)
    with torch.no_grad():
        head.bnneck.weight.copy_(tensor(golden, 'step_bn_weight'))
        head.classifier.weight.copy_(tensor(golden, 'step_classifier_weight'))

    pooled = BranchPooling()(expansion(torch.cat(maps)))
    pooled.retain_grad()
    close(by_branch(pooled), golden['step_pool'])
    _, logits = head(pooled)
    close(by_branch(logits), golden['step_logits'])
    losses = head.loss_by_feat(pooled, logits, info)

    close(losses['loss_ce'], golden['step_loss_ce'])
    close(losses['loss_metric'], golden['step_loss_triplet'])
    original, *generated = pooled.detach().unbind(1)
    for i, branch in enumerate(generated, 1):
        close(CenterGuidedPairMiningLoss()(original, branch, info.label, info.modality),
              golden[f'step_loss_cpm_{i}'])
    close(BranchOrthogonalityLoss()(pooled), golden['step_loss_ort'])
    assert sorted(losses) == ['accuracy', 'loss_ce', 'loss_metric', 'loss_orthogonality',
                              'loss_pair_mining']
    total = sum(loss for name, loss in losses.items() if name.startswith('loss_'))
    close(total, golden['step_total'])

    total.backward()
    gradient_close(by_branch(pooled.grad), golden['step_grad_pool'])
    for x, name in zip(maps, ('visible', 'infrared')):
        gradient_close(x.grad, golden[f'step_grad_map_{name}'])
    gradient_close(head.bnneck.weight.grad, golden['step_grad_bn_weight'])
    gradient_close(head.classifier.weight.grad, golden['step_grad_classifier_weight'])
    for name, parameter in expansion.named_parameters():
        gradient_close(parameter.grad, golden[f'step_grad_dee_{name.replace(".", "_")}'])
    close(head.bnneck.running_mean, golden['step_bn_running_mean'])
    close(head.bnneck.running_var, golden['step_bn_running_var'])


def test_inference(golden):
    """The mirror image, too, with lengths as released; scaled to one length, a little else."""
    channels = len(golden['inf_bn_weight'])
    model = CrossModalityReIdentifier(
        backbone=dict(type='DiverseEmbeddingExpansion', channels=channels),
        neck=dict(type='BranchPooling'),
        head=dict(type='DEENHead', num_classes=2, in_channels=channels, descriptors=dict(
            base=(0.5, 0.5), weighted=(0.1, 0.9), pooled=(1, 0), feature=(0, 1)))).eval()
    fill(model.backbone.trunk, golden, 'step_dee')
    state = model.head.bnneck.state_dict()
    for name in ('weight', 'running_mean', 'running_var'):
        state[name] = tensor(golden, f'inf_bn_{name}')
    model.head.bnneck.load_state_dict(state)

    bare, scaled = {}, {}
    with torch.no_grad():
        for side in ('gallery', 'query'):
            maps = tensor(golden, f'inf_{side}_map')
            modality = torch.zeros(len(maps), dtype=torch.long)
            for view, x in (('plain', maps), ('flip', maps.flip(-1))):
                pooled = model.extract_feat(x, modality)
                feature, _ = model.head(pooled)
                for name, rows in (('pool', pooled), ('feat', feature)):
                    close(torch.nn.functional.normalize(rows, dim=2),
                          golden[f'inf_{side}_{name}_{view}'])
            bare[side] = model.describe(maps, modality, flip=True, normalize=False)
            scaled[side] = model.describe(maps, modality, flip=True)

    def similarity(found, name):
        query, gallery = (found[side][name].double() for side in ('query', 'gallery'))
        return query @ gallery.T

    # Means of two views have a fourth of the products of sums, and of the six or three
    # products there is the mean.
    close(24 * similarity(bare, 'base'), golden['inf_similarity_sum'])
    close(12 * similarity(bare, 'weighted'), golden['inf_similarity_weighted'])
    each = golden['inf_similarity_each']
    for k, name in enumerate(('pooled', 'feature')):
        query, gallery = (3**0.5 * bare[side][name].double().unflatten(1, (3, -1))
                          for side in ('query', 'gallery'))
        close(4 * torch.einsum('qbd,gbd->bqg', query, gallery), each[:, k])

    # Scaled to one length, an image whose two views agree less is lengthened more.
    for name, key, weights, scale in (
            ('base', 'sum', (0.5, 0.5), 24), ('weighted', 'weighted', (0.1, 0.9), 12)):
        lengths = {}
        for side in ('gallery', 'query'):
            sums = (golden[f'inf_{side}_{kind}_plain'] + golden[f'inf_{side}_{kind}_flip']
                    for kind in ('pool', 'feat'))
            squares = (w / 12 * (x**2).sum((1, 2)) for w, x in zip(weights, sums))
            lengths[side] = np.sqrt(sum(squares)).astype(np.float64)
        released = golden[f'inf_similarity_{key}'] / scale
        close(similarity(scaled, name),
              released / lengths['query'][:, None] / lengths['gallery'])
