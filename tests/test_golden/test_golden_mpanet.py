"""MPANet: alleviation, centre cluster loss, two training steps, inference."""

import re

import numpy as np
import pytest
import torch
from reference.mpanet import MODALITIES

from mmvireid.models import (
    CenterClusterLoss,
    ModalityAlleviation,
    MutualMeanHead,
    PatternAlignment,
    pattern_separation,
)
from mmvireid.structures import BatchInfo

# The cameras are those of the modalities, and no loss asks for them.
pytestmark = pytest.mark.golden('mpanet', unused=('head_cameras', ))

CLASSIFIERS = ('classifier', 'visible_classifier', 'infrared_classifier')


def tensor(golden, name):
    return torch.from_numpy(golden[name])


def close(actual, expected):
    torch.testing.assert_close(
        actual.detach(), torch.from_numpy(expected),
        atol=1e-5 * max(1.0, float(np.abs(expected).max())), rtol=0)


def gradient_close(actual, expected):
    torch.testing.assert_close(
        actual, torch.from_numpy(expected), atol=1e-4 * float(np.abs(expected).max()), rtol=0)


def cases_of(golden, pattern):
    """Name what array names have where the pattern has a group."""
    return sorted({case[1] for case in filter(None, (
        re.fullmatch(pattern, name) for name in golden))})


def test_alleviation(golden):
    for case in cases_of(golden, r'(mam_[a-z]+)_x'):
        x = tensor(golden, f'{case}_x').requires_grad_()
        width, channels = golden[f'{case}_reduce_weight'].shape[:2]
        module = ModalityAlleviation(channels, reduction=channels // width)
        module.load_state_dict({
            f'{name}.weight': tensor(golden, f'{case}_{name}_weight')
            for name in ('reduce', 'expand')})
        out = module(x)
        close(out, golden[f'{case}_out'])
        (out * tensor(golden, f'{case}_upstream')).sum().backward()
        gradient_close(x.grad, golden[f'{case}_grad_x'])
        for name in ('reduce', 'expand'):
            gradient_close(getattr(module, name).weight.grad,
                           golden[f'{case}_grad_{name}_weight'])


def test_center_cluster_loss(golden):
    ids, center_cluster = tensor(golden, 'cc_ids'), CenterClusterLoss()
    for case in cases_of(golden, r'(cc_[a-z]+)_x'):
        x = tensor(golden, f'{case}_x').requires_grad_()
        loss = center_cluster(x, ids)
        loss.backward()
        close(loss, golden[f'{case}_loss'])
        close(center_cluster.pull, golden[f'{case}_pull'])
        close(center_cluster.push, golden[f'{case}_push'])
        gradient_close(x.grad, golden[f'{case}_grad'])


def network_of(golden):
    """Neck and head as before the first step."""
    num_patterns, dim = golden['head_attention_weight'].shape[:2]
    num_classes, width = golden['head_classifier_weight'].shape
    neck, head = PatternAlignment(dim, num_patterns), MutualMeanHead(num_classes, width)
    load(neck, head, golden, 'head')
    for name in MODALITIES:
        getattr(head, f'{name}_mean').copy_(tensor(golden, f'head_{name}_mean_weight'))
    return neck, head


@torch.no_grad()
def load(neck, head, golden, prefix):
    """Set what is trained; means and statistics stay."""
    for name, parameter in trained(neck, head).items():
        parameter.copy_(tensor(golden, f'{prefix}_{name}'))


def trained(neck, head):
    return {'attention_weight': neck.attention.weight, 'attention_bias': neck.attention.bias,
            'bn_weight': head.bnneck.weight,
            **{f'{name}_weight': getattr(head, name).weight for name in CLASSIFIERS}}


def test_two_training_steps(golden):
    neck, head = network_of(golden)
    info = BatchInfo(modality=tensor(golden, 'head_modality'), label=tensor(golden, 'head_ids'))
    for step in ('step1', 'step2'):
        if step == 'step2':
            load(neck, head, golden, 'step2_before')
        parameters = trained(neck, head)
        x = tensor(golden, f'{step}_map').requires_grad_()
        pool = neck(x)
        pool.retain_grad()
        close(pool, golden[f'{step}_pool'])
        losses = {**head.loss(pool, info), **neck.auxiliary_losses()}

        for name, weight in {
                'loss_separation': 0.5, 'loss_metric': 1.0, 'loss_ce': 1.0,
                'loss_ce_visible': 1.0, 'loss_ce_infrared': 1.0, 'loss_kl': 2.5,
                'accuracy': 100.0}.items():
            stored = name.replace('metric', 'center_cluster')
            close(losses[name] / weight, golden[f'{step}_{stored}'])
        total = sum(loss for name, loss in losses.items() if name.startswith('loss_'))
        close(total, golden[f'{step}_total'])
        total.backward()
        gradient_close(x.grad, golden[f'{step}_grad_map'])
        gradient_close(pool.grad, golden[f'{step}_grad_pool'])
        for name, parameter in parameters.items():
            gradient_close(parameter.grad, golden[f'{step}_grad_{name}'])
            parameter.grad = None

        close(head.bnneck.running_mean, golden[f'{step}_bn_running_mean'])
        close(head.bnneck.running_var, golden[f'{step}_bn_running_var'])
        for name in MODALITIES:
            close(getattr(head, f'{name}_mean'), golden[f'{step}_{name}_mean_weight'])


def test_outputs_of_the_training_steps(golden):
    modality = tensor(golden, 'head_modality')
    neck, head = network_of(golden)
    for step in ('step1', 'step2'):
        if step == 'step2':
            load(neck, head, golden, 'step2_before')
        for name in MODALITIES:
            getattr(head, f'{name}_mean').copy_(tensor(golden, f'{step}_{name}_mean_weight'))
        with torch.no_grad():
            maps = neck.pattern_maps(tensor(golden, f'{step}_map'))
            close(maps, golden[f'{step}_mask'])
            close(pattern_separation(maps), golden[f'{step}_loss_separation'])
            feature, logits = head(tensor(golden, f'{step}_pool'))
            close(feature, golden[f'{step}_feat'])
            close(logits, golden[f'{step}_logits'])
            own, other = head.modality_logits(feature, modality)
        for number, name in enumerate(MODALITIES):
            rows, opposite = modality == number, MODALITIES[1 - number]
            close(own[rows], golden[f'{step}_logits_{name}'])
            close(other[rows], golden[f'{step}_logits_{name}_by_{opposite}_mean'])


def test_inference(golden):
    """Squared distances of unit vectors, as on SYSU-MM01, and of the vectors, as on RegDB."""
    neck, head = network_of(golden)
    load(neck, head, golden, 'step2_before')
    head.bnneck.running_mean.copy_(tensor(golden, 'step2_bn_running_mean'))
    head.bnneck.running_var.copy_(tensor(golden, 'step2_bn_running_var'))
    neck.eval(), head.eval()
    features, descriptors = {}, {}
    with torch.no_grad():
        for side in ('query', 'gallery'):
            pool = neck(tensor(golden, f'inf_{side}_map'))
            features[side], _ = head(pool)
            descriptors[side] = head.predict(pool)['base']
            close(features[side], golden[f'inf_{side}_feat'])
    for name, rows in (('sysu', descriptors), ('regdb', features)):
        distance = (rows['query'][:, None] - rows['gallery']).square().sum(2)
        close(distance, golden[f'inf_distance_{name}'])
