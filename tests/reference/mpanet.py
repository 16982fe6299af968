"""MPANet in plain loops in float64, and a small case in the form of ``mpanet.npz``."""

import numpy as np
import torch
from reference.cift import batch_norm, cross_entropy
from reference.metric_losses import euclidean

MODALITIES = ('visible', 'infrared')


def naive_alleviation(x, reduce, expand):
    """Mix each channel of each image with its normalisation."""
    x, reduce, expand = x.double(), reduce.double().flatten(1), expand.double().flatten(1)
    images = []
    for image in x:
        hidden = torch.clamp(reduce @ image.mean((1, 2)), min=0)
        gates = torch.sigmoid(expand @ hidden)
        images.append(torch.stack([
            s * channel + (1 - s) * (channel - channel.mean())
            / torch.sqrt(((channel - channel.mean())**2).mean() + 1e-5)
            for s, channel in zip(gates, image)]))
    return torch.stack(images)


def naive_center_cluster(x, ids, margin=0.7):
    """Pull and push; an image that is its own centre has no gradient."""
    x, pull, push = x.double(), [], []
    names = sorted(set(ids.tolist()))
    rows = {name: [x[i] for i in range(len(x)) if ids[i] == name] for name in names}
    centres = {name: sum(own) / len(own) for name, own in rows.items()}
    for name in names:
        for row in rows[name]:
            square = ((row - centres[name])**2).sum()
            pull.append(square.sqrt() if square > 0 else x.new_zeros(()))
        push += [torch.clamp(margin - euclidean(centres[name], centres[other]), min=0)
                 for other in names if other != name]
    return sum(pull) / len(pull), sum(push) / len(push) if push else x.new_zeros(())


def naive_patterns(x, weight, bias):
    """Attention maps, and the means of the map under each of them and without any."""
    x, weight, bias = x.double(), weight.double().flatten(1), bias.double()
    maps = torch.sigmoid(torch.einsum('pd,ndhw->nphw', weight, x) + bias[:, None, None])
    pooled = [torch.cat([(mask * image).mean((1, 2)) for mask in masks] + [image.mean((1, 2))])
              for masks, image in zip(maps, x)]
    return maps, torch.stack(pooled)


def naive_separation(maps):
    total, number = maps.new_zeros(()), maps.shape[1]
    for image in maps:
        for k in range(number):
            for other in range(k + 1, number):
                total = total + (image[k] * image[other]).sum()
    return total / (len(maps) * number * (number - 1) / 2)


def naive_kl(own, other):
    """Mean over rows of KL(own || other)."""
    terms = [(torch.softmax(p, 0) * (torch.log_softmax(p, 0) - torch.log_softmax(q, 0))).sum()
             for p, q in zip(own, other)]
    return sum(terms) / len(terms)


def step_arrays(x, ids, modality, weights, means, running):
    """One step of training after the backbone: outputs, losses, gradients, and what moves."""
    x = x.double().requires_grad_()
    weights = {name: value.double().requires_grad_() for name, value in weights.items()}
    maps, pool = naive_patterns(x, weights['attention_weight'], weights['attention_bias'])
    pool.retain_grad()
    feat = batch_norm(pool, weights['bn_weight'])
    variance = ((pool - pool.mean(0))**2).mean(0) * len(pool) / (len(pool) - 1)
    stated = {'mask': maps, 'pool': pool, 'feat': feat,
              'bn_running_mean': 0.9 * running[0] + 0.1 * pool.mean(0),
              'bn_running_var': 0.9 * running[1] + 0.1 * variance}

    logits = feat @ weights['classifier_weight'].T
    stated['logits'] = logits
    stated['loss_ce'] = cross_entropy(logits, ids)
    stated['accuracy'] = (logits.argmax(1) == ids).double().mean()
    stated['loss_separation'] = naive_separation(maps)
    stated['loss_center_cluster'] = sum(naive_center_cluster(pool, ids))

    means = {name: 0.8 * means[name].double()
             + 0.2 * weights[f'{name}_classifier_weight'].detach() for name in MODALITIES}
    own, other = {}, {}
    for number, name in enumerate(MODALITIES):
        rows, opposite = modality == number, MODALITIES[1 - number]
        own[name] = feat[rows] @ weights[f'{name}_classifier_weight'].T
        other[name] = (feat[rows] @ means[opposite].T).detach()
        stated[f'logits_{name}'] = own[name]
        stated[f'logits_{name}_by_{opposite}_mean'] = other[name]
        stated[f'loss_ce_{name}'] = cross_entropy(own[name], ids[rows])
        stated[f'{name}_mean_weight'] = means[name]
    stated['loss_kl'] = naive_kl(torch.cat(list(own.values())), torch.cat(list(other.values())))

    rest = (stated['loss_center_cluster'] + stated['loss_ce'] + stated['loss_ce_visible']
            + stated['loss_ce_infrared'] + 2.5 * stated['loss_kl'])
    stated['total'] = rest + 0.5 * stated['loss_separation']
    stated['total'].backward()
    stated['grad_map'], stated['grad_pool'] = x.grad, pool.grad
    stated.update({f'grad_{name}': value.grad for name, value in weights.items()})
    return {name: value.detach() for name, value in stated.items()}


def small_case(num_ids=3, per_id=4, dim=6, num_patterns=2, num_classes=5, size=(3, 2), seed=0):
    rng = np.random.default_rng(seed)

    def gauss(*shape, scale=1.0):
        return torch.from_numpy(rng.normal(0, scale, shape).astype(np.float32))

    arrays = {}
    for case, channels, width in (('small', 8, 2), ('wide', 6, 3)):
        inputs = {'x': gauss(2, channels, *size), 'reduce_weight': gauss(width, channels, 1, 1),
                  'expand_weight': gauss(channels, width, 1, 1)}
        upstream = gauss(2, channels, *size)
        double = {name: value.double().requires_grad_() for name, value in inputs.items()}
        out = naive_alleviation(*double.values())
        (out * upstream).sum().backward()
        arrays.update({f'mam_{case}_{name}': value for name, value in {
            **inputs, 'out': out, 'upstream': upstream,
            **{f'grad_{name}': value.grad for name, value in double.items()}}.items()})

    ids = torch.arange(num_ids).repeat_interleave(per_id)
    arrays['cc_ids'] = ids
    for case, scale in (('near', 0.01), ('mixed', 0.25), ('far', 2.0)):
        x = gauss(num_ids, dim, scale=scale).repeat_interleave(per_id, 0) + gauss(
            len(ids), dim, scale=0.01)
        double = x.double().requires_grad_()
        pull, push = naive_center_cluster(double, ids)
        (pull + push).backward()
        arrays.update({f'cc_{case}_{name}': value for name, value in {
            'x': x, 'pull': pull, 'push': push, 'loss': pull + push,
            'grad': double.grad}.items()})

    modality = 1 - torch.arange(len(ids)) % 2
    width = dim * (num_patterns + 1)
    weights = {
        'attention_weight': gauss(num_patterns, dim, 1, 1), 'attention_bias': gauss(num_patterns),
        'bn_weight': 1 + gauss(width, scale=0.1),
        **{f'{name}classifier_weight': gauss(num_classes, width, scale=0.3)
           for name in ('', 'visible_', 'infrared_')}}
    means = {name: gauss(num_classes, width, scale=0.3) for name in MODALITIES}
    arrays.update({'head_ids': ids, 'head_modality': modality})
    arrays.update({f'head_{name}': value for name, value in weights.items()})
    arrays.update({f'head_{name}_mean_weight': value for name, value in means.items()})
    running = torch.zeros(width).double(), torch.ones(width).double()
    for number in (1, 2):
        x = gauss(len(ids), dim, *size).abs()
        found = step_arrays(x, ids, modality, weights, means, running)
        arrays[f'step{number}_map'] = x
        arrays.update({f'step{number}_{name}': value for name, value in found.items()})
        if number == 1:
            weights = {name: (value - 0.1 * found[f'grad_{name}']).float()
                       for name, value in weights.items()}
            arrays.update({f'step2_before_{name}': value for name, value in weights.items()})
        means = {name: found[f'{name}_mean_weight'] for name in MODALITIES}
        running = found['bn_running_mean'], found['bn_running_var']

    feats = {}
    for side, number in (('query', 3), ('gallery', 4)):
        x = gauss(number, dim, *size).abs()
        _, pool = naive_patterns(x, weights['attention_weight'], weights['attention_bias'])
        feats[side] = ((pool - running[0]) / torch.sqrt(running[1] + 1e-5)
                       * weights['bn_weight'].double())
        arrays[f'inf_{side}_map'], arrays[f'inf_{side}_feat'] = x, feats[side]
    for name, scaled in (('sysu', lambda row: row / row.norm()), ('regdb', lambda row: row)):
        arrays[f'inf_distance_{name}'] = torch.stack([
            torch.stack([((scaled(q) - scaled(g))**2).sum() for g in feats['gallery']])
            for q in feats['query']])
    return {name: value.detach().numpy().astype(np.int64 if value.dtype == torch.int64
                                                else np.float32)
            for name, value in arrays.items()}
