"""CIFT: graph, counterfactual branch, losses, one training step, inference."""

import re

import numpy as np
import pytest
import torch
from reference.cift import DIRECTIONS, queries_of
from torch.nn import functional

from mmvireid.evaluation import Ranking, rank_metrics
from mmvireid.models import (
    CIFTHead,
    CounterfactualIntervention,
    GraphTransfer,
    HeteroCenterClusterLoss,
    transfer_affinity,
    transfer_features,
)
from mmvireid.models.heads.cift_head import LOSS_WEIGHTS
from mmvireid.structures import BatchInfo, ImageSet, Modality

pytestmark = pytest.mark.golden('cift')

BRANCHES = ('b', *DIRECTIONS)


def tensor(golden, name):
    return torch.from_numpy(golden[name])


def close(actual, expected, atol):
    torch.testing.assert_close(actual.detach(), torch.from_numpy(expected), atol=atol, rtol=0)


def gradient_close(actual, expected, at_least=0.0):
    close(actual, expected, max(at_least, 1e-4 * float(np.abs(expected).max())))


def cases_of(golden, pattern):
    """Name what array names have where the pattern has a group."""
    return sorted({case[1] for case in filter(None, (
        re.fullmatch(pattern, name) for name in golden))})


def halves(golden, name):
    """Modality of rows that are visible in the first half, infrared in the second."""
    rows = len(golden[name])
    return (torch.arange(rows) >= rows // 2).long()


def noise_of(golden, prefix, case, rows, dim):
    """The stored c and k, or those that training starts from."""
    if f'{prefix}_{case}_c' not in golden:
        return torch.ones(rows, 1), torch.zeros(rows, dim)
    return tensor(golden, f'{prefix}_{case}_c'), tensor(golden, f'{prefix}_{case}_k')


def test_graph(golden):
    for prefix in ('graph', 'tiny'):
        modality = torch.arange(len(golden[f'{prefix}_x'])) >= int(golden[f'{prefix}_num_vis'])
        for direction in DIRECTIONS:
            x = tensor(golden, f'{prefix}_x').requires_grad_()
            affinity = transfer_affinity(x, queries_of(direction, modality))
            out = affinity @ x
            close(affinity, golden[f'{prefix}_a_{direction}'], 2e-6)
            close(out, golden[f'{prefix}_out_{direction}'], 1e-5)
            if f'{prefix}_upstream' in golden:
                (out * tensor(golden, f'{prefix}_upstream')).sum().backward()
                gradient_close(x.grad, golden[f'{prefix}_grad_x_{direction}'])


def test_counterfactual(golden):
    labels = tensor(golden, 'graph_label')
    for case in cases_of(golden, r'cf_([a-z]+)_r2i_a'):
        for direction in DIRECTIONS:
            x = tensor(golden, 'graph_x').requires_grad_()
            w = tensor(golden, f'cf_w_{direction}').requires_grad_()
            draws = tensor(golden, f'cf_noise_{direction}')
            is_query = queries_of(
                direction, torch.arange(len(x)) >= int(golden['graph_num_vis']))
            c, k = noise_of(golden, 'cf', case, *x.shape)
            branch = CounterfactualIntervention(x.shape[1], len(draws), 'slot', len(x))
            with torch.no_grad():
                branch.c.copy_(c)
                branch.k.copy_(k)
            prefix = f'cf_{case}_{direction}'

            affinity = transfer_affinity(draws * c.relu() + k, is_query, self_edges=False)
            close(affinity, golden[f'{prefix}_a'], 2e-6)
            out = branch(x, is_query, draws=draws)
            close(out, golden[f'{prefix}_out'], 1e-5)
            effect = (transfer_affinity(x, is_query) @ x - out) @ w.T
            close(effect, golden[f'{prefix}_ytie'], 5e-5)
            loss = functional.cross_entropy(effect, labels)
            close(loss, golden[f'{prefix}_loss'], 1e-5)
            loss.backward()
            for name, grad in (('x', x.grad), ('w', w.grad), ('k', branch.k.grad)):
                gradient_close(grad, golden[f'{prefix}_grad_{name}'])
            # Mathematically zero where k is: only the direction of X* counts.
            gradient_close(branch.c.grad, golden[f'{prefix}_grad_c'], at_least=1e-7)


def test_hetero_center_cluster_loss(golden):
    ids, modality = tensor(golden, 'hcc_label'), halves(golden, 'hcc_label')
    for distance, kind in (('euclidean', 'euc'), ('kl', 'kl')):
        for case in cases_of(golden, rf'(hcc_{kind}_[a-z]+)_x'):
            # A margin far below zero leaves the first part alone.
            for margin, part in ((None, ''), (-1e9, '_pull')):
                x = tensor(golden, f'{case}_x').requires_grad_()
                loss = HeteroCenterClusterLoss(distance, margin=margin)(x, ids, modality)
                loss.backward()
                close(loss, golden[f'{case}{part or "_loss"}'], 1e-5)
                gradient_close(x.grad, golden[f'{case}_grad{part}'])


def test_cross_entropy_of_the_base_branch(golden):
    """Plain, without smoothing."""
    logits = tensor(golden, 'ce_x').requires_grad_()
    info = BatchInfo(
        modality=halves(golden, 'hcc_label'), label=tensor(golden, 'hcc_label'))
    head = CIFTHead(logits.shape[1], 8, directions=(), loss_weights={
        'hcc_euc': 0, 'hcc_kl_b': 0})
    loss = head.loss_by_feat(torch.zeros(len(info), 8), logits, {}, info)['loss_ce_b']
    loss.backward()
    close(loss, golden['ce_loss'], 1e-5)
    gradient_close(logits.grad, golden['ce_grad'])


def head_of(golden, case):
    """A head with the weights that a training step starts from."""
    rows, dim = golden['train_pool'].shape
    head = CIFTHead(len(golden[f'train_{case}_w_b']), dim, noise='slot', batch_size=rows,
                    num_draws=len(golden['train_noise_r2i']))
    c, k = noise_of(golden, 'train', case, rows, dim)
    with torch.no_grad():
        head.counterfactual.c.copy_(c)
        head.counterfactual.k.copy_(k)
        for branch in BRANCHES:
            head.classifiers[branch].weight.copy_(tensor(golden, f'train_{case}_w_{branch}'))
            head.bnnecks[branch].weight.copy_(tensor(golden, f'train_gamma_{branch}'))
    return head


def test_training_step(golden):
    info = BatchInfo(
        modality=halves(golden, 'train_label'), label=tensor(golden, 'train_label'))
    draws = {d: tensor(golden, f'train_noise_{d}') for d in DIRECTIONS}
    for case in cases_of(golden, r'train_([a-z]+)_total'):
        prefix = f'train_{case}'
        head = head_of(golden, case)
        pool = tensor(golden, 'train_pool').requires_grad_()
        losses = head.loss(pool, info, draws=draws)

        names = {name for name in losses if name.startswith('loss_')}
        assert names == {name.removeprefix(f'{prefix}_') for name in golden
                         if name.startswith(f'{prefix}_loss_')}
        for name in names:
            kind = name[5:] if name[5:] in LOSS_WEIGHTS else name[5:].rpartition('_')[0]
            close(losses[name] / LOSS_WEIGHTS[kind], golden[f'{prefix}_{name}'], 1e-5)
        total = sum(losses[name] for name in names)
        close(total, golden[f'{prefix}_total'], 2e-5)

        total.backward()
        grads = {'pool': pool.grad, 'c': head.counterfactual.c.grad,
                 'k': head.counterfactual.k.grad}
        for branch in BRANCHES:
            grads[f'w_{branch}'] = head.classifiers[branch].weight.grad
            grads[f'gamma_{branch}'] = head.bnnecks[branch].weight.grad
        for name, grad in grads.items():
            gradient_close(grad, golden[f'{prefix}_grad_{name}'], at_least=1e-7)
        norm = sum(p.grad.square().sum() for p in head.parameters() if p.requires_grad).sqrt()
        close(norm, golden[f'{prefix}_grad_norm'], 1e-4 * float(norm))
        for neck in head.bnnecks.values():
            close(neck.running_mean, golden[f'{prefix}_running_mean'], 2e-6)
            close(neck.running_var, golden[f'{prefix}_running_var'], 2e-6)


def test_logits_of_the_training_step(golden):
    modality = halves(golden, 'train_pool')
    for case in cases_of(golden, r'train_([a-z]+)_total'):
        head = head_of(golden, case)
        with torch.no_grad():
            features = head(tensor(golden, 'train_pool'))
            logits = {'y_b': head.classifiers['b'](features['b'])}
            for direction in DIRECTIONS:
                result = head.direction_logits(
                    direction, features[direction], modality,
                    tensor(golden, f'train_noise_{direction}'))
                logits[f'y_{direction}'] = result.factual
                logits[f'ytie_{direction}'] = result.indirect_effect
                affinity = transfer_affinity(
                    features[direction], queries_of(direction, modality), **head.graph)
                close(affinity, golden[f'train_a_{direction}'], 2e-6)
        for name, value in logits.items():
            close(value, golden[f'train_{case}_{name}'], 5e-5)


def image_set(features, modality, ids, cameras):
    return ImageSet(
        descriptors=dict.fromkeys(('base', *DIRECTIONS), features), identity=ids, camera=cameras,
        modality=np.full(len(ids), int(modality)), sample_idx=np.arange(len(ids)))


def transferred(golden, queries):
    """Distance after the transfer, with one of the sets as queries."""
    sets = {
        side: image_set(functional.normalize(tensor(golden, f'inf_{side}')), modality,
                        golden[f'inf_{side}_pid'], golden[f'inf_{side}_cam'])
        for side, modality in (('gallery', Modality.VISIBLE), ('query', Modality.INFRARED))}
    query = sets.pop(queries)
    gallery, = sets.values()
    return Ranking('cift', GraphTransfer()).prepare(gallery).rank(query)


def test_inference(golden):
    """Infrared queries, as released, then visible ones."""
    gallery, query = (functional.normalize(tensor(golden, f'inf_{side}'))
                      for side in ('gallery', 'query'))
    nodes = torch.cat([gallery, query])
    is_query = torch.arange(len(nodes)) >= len(gallery)
    close(transfer_affinity(nodes, is_query), golden['inf_a'], 2e-6)
    query_out, gallery_out = transfer_features(query, gallery)
    close(query_out, golden['inf_query_out'], 1e-5)
    close(gallery_out, golden['inf_gallery_out'], 1e-5)
    close(1 - transferred(golden, 'query').distance, golden['inf_cos'], 1e-5)

    close(transfer_affinity(nodes, ~is_query), golden['inf_r2i_a'], 2e-6)
    query_out, gallery_out = transfer_features(gallery, query)
    close(torch.cat([query_out, gallery_out]), golden['inf_r2i_out'], 1e-5)
    close(1 - transferred(golden, 'gallery').distance, golden['inf_r2i_cos'], 1e-5)


def test_ranking_of_the_inference(golden):
    """Camera 2 is hidden from queries of camera 3; the curve counts images."""
    distance = transferred(golden, 'query').distance.numpy()
    query, gallery = ((golden[f'inf_{side}_pid'], golden[f'inf_{side}_cam'])
                      for side in ('query', 'gallery'))
    metrics = rank_metrics(
        distance, query[0], gallery[0], query[1], gallery[1], protocol='sysu')
    assert metrics.mAP == pytest.approx(float(golden['inf_mAP']), abs=1e-6)
    assert metrics.mINP == pytest.approx(float(golden['inf_mINP']), abs=1e-6)

    found = valid = 0
    for rows, columns in ((query[1] == 3, gallery[1] != 2),
                          (query[1] != 3, np.ones(len(gallery[1]), bool))):
        if rows.any():
            curve = rank_metrics(
                distance[rows][:, columns], query[0][rows], gallery[0][columns],
                protocol='regdb', max_rank=len(golden['inf_cmc']))
            found = found + curve.cmc * curve.num_valid_queries
            valid += curve.num_valid_queries
    np.testing.assert_allclose(found / valid, golden['inf_cmc'], rtol=0, atol=1e-6)
