"""DEEN position by position in float64, and a small case in the form of ``deen.npz``."""

import numpy as np
import torch
from reference.cift import batch_norm, cross_entropy, leaf
from reference.metric_losses import centre, euclidean, naive_triplet


def pointwise(x, weight, bias):
    """A convolution of one pixel, as a matrix on the channels of (N, C, h, w)."""
    return torch.einsum('oc,nchw->nohw', weight[:, :, 0, 0], x) + bias[:, None, None]


def batch_norm_2d(x, weight, bias):
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    return (x - mean) / (var + 1e-5).sqrt() * weight[:, None, None] + bias[:, None, None]


def naive_channel_attention(high, low, p, stride):
    """p: parameters by name, such as ``theta_weight``."""
    theta = pointwise(high, p['theta_weight'], p['theta_bias']).flatten(2)
    phi = pointwise(low, p['phi_weight'], p['phi_bias'])[:, :, ::stride, ::stride].flatten(2)
    g = pointwise(low, p['g_weight'], p['g_bias'])
    channels = low.shape[1]
    attended = torch.zeros_like(g)
    for n in range(len(low)):
        for k in range(channels):
            for c in range(channels):
                weight = sum(theta[n, k, i] * phi[n, c, i] for i in range(theta.shape[2]))
                attended[n, k] += weight / channels * g[n, c]
    return pointwise(attended, p['proj_weight'], p['proj_bias'])[:, :, ::stride, ::stride]


def naive_pixel_attention(high, low, p, fold=True):
    """Folded, position i of the upper half and its partner in the lower one share a weight."""
    theta = pointwise(high, p['theta_weight'], p['theta_bias']).flatten(2)
    phi = pointwise(low, p['phi_weight'], p['phi_bias']).flatten(2)
    g = pointwise(low, p['g_weight'], p['g_bias']).flatten(2)
    halves = 2 if fold else 1
    n, m = theta.shape[2] // halves, phi.shape[2] // halves
    attended = torch.zeros_like(theta)
    for i in range(n):
        for j in range(m):
            weight = sum((theta[:, :, i + half * n] * phi[:, :, j + half * m]).sum(1)
                         for half in range(halves)) / m
            for half in range(halves):
                attended[:, :, i + half * n] += weight[:, None] * g[:, :, j + half * m]
    return pointwise(attended.view(*theta.shape[:2], *high.shape[2:]), p['proj_weight'],
                     p['proj_bias'])


def below(parameters, start):
    return {name.removeprefix(start): value for name, value in parameters.items()
            if name.startswith(start)}


def naive_expansion(x, parameters):
    """Rows [x; branch 1; branch 2]; a dilated convolution is nine shifts."""
    height, width = x.shape[2:]
    rows = [x]
    for branch in ('branch1_', 'branch2_'):
        p, views = below(parameters, branch), 0
        for d in (1, 2, 3):
            padded = torch.nn.functional.pad(x, (d, d, d, d))
            for i in range(3):
                for j in range(3):
                    shifted = padded[:, :, i * d:i * d + height, j * d:j * d + width]
                    weight = p[f'dilation{d}_weight'][:, :, i, j]
                    views = views + torch.einsum('oc,nchw->nohw', weight, shifted)
        rows.append(pointwise((views / 3).clamp(min=0), p['proj_weight'], p['proj_bias']))
    return torch.cat(rows)


def naive_pair_mining(real, generated, ids, modality, margin=0.2):
    people = sorted(set(np.asarray(ids).tolist()))
    own = {(i, m): centre(real, ids, modality, i, m) for i in people for m in (0, 1)}
    made = {(i, m): centre(generated, ids, modality, i, m) for i in people for m in (0, 1)}

    def hinge(distance):
        return torch.clamp(distance + margin, min=0)

    total = 0
    for m in (0, 1):
        for i in people:
            goal = euclidean(own[i, 1 - m], made[i, m])
            others = [j for j in people if j != i]
            total = total + hinge(goal - euclidean(own[i, m], made[i, m]).detach())
            for centres in (made, own):
                nearest = min(euclidean(centres[i, m], centres[j, m]) for j in others)
                total = total + hinge(goal - nearest) / 2
    return total / len(people) / 2


def naive_orthogonality(embeddings):
    """Of rows (N, 1 + B, D)."""
    total = 0
    for image in embeddings:
        for a in range(1, len(image)):
            for b in range(a + 1, len(image)):
                total = total + (image[a] * image[b]).sum()
    return total / (embeddings.shape[0] * embeddings.shape[1])


def attention_parameters(gauss, high, low, inner):
    p = {}
    for name, (to, of) in dict(theta=(inner, high), phi=(inner, low), g=(inner, low),
                               proj=(high, inner)).items():
        p[f'{name}_weight'] = gauss(to, of, 1, 1, scale=of**-0.5)
        p[f'{name}_bias'] = gauss(to, scale=0.3)
    p.update(bn_weight=1 + gauss(high, scale=0.3), bn_bias=gauss(high, scale=0.3),
             bn_running_mean=gauss(high, scale=0.3), bn_running_var=1 + gauss(high)**2)
    return p


def expansion_parameters(gauss, channels):
    p, inner = {}, channels // 4
    for branch in ('branch1', 'branch2'):
        for d in (1, 2, 3):
            p[f'{branch}_dilation{d}_weight'] = gauss(
                inner, channels, 3, 3, scale=(2 / 9 / channels)**0.5)
        p[f'{branch}_proj_weight'] = gauss(channels, inner, 1, 1, scale=(2 / inner)**0.5)
        p[f'{branch}_proj_bias'] = gauss(channels, scale=0.3)
    return p


def put(case, prefix, arrays):
    for name, value in arrays.items():
        if isinstance(value, torch.Tensor):
            value = value.detach().numpy().astype(np.float32)
        case[f'{prefix}_{name}'] = value


def leaves(case, prefix):
    """Parameters below a prefix, in float64 with gradient."""
    return {name: leaf(value) for name, value in below(case, f'{prefix}_').items()}


def gradients(parameters):
    return {f'grad_{name}': p.grad for name, p in parameters.items() if p.grad is not None}


def add_aggregation(case, gauss, name, high, low, size, stride):
    prefix = f'mfa_{name}'
    shapes = dict(high=(2, high, *size), low=(2, low, size[0] * stride, size[1] * stride),
                  upstream=(2, high, *size))
    for block, inner in (('channel', low), ('pixel', low // 2)):
        put(case, f'{prefix}_{block}', attention_parameters(gauss, high, low, inner))
    parameters = leaves(case, prefix)
    maps = {key: leaf(gauss(*shape)) for key, shape in shapes.items()}

    def run(training):
        out, given = maps['high'], {}
        for block in ('channel', 'pixel'):
            p = below(parameters, f'{block}_')
            added = (naive_channel_attention(out, maps['low'], p, stride) if block == 'channel'
                     else naive_pixel_attention(out, maps['low'], p))
            if training:
                mean, var = added.mean((0, 2, 3)), added.var((0, 2, 3))
                given[f'after_{block}_bn_running_mean'] = 0.9 * p['bn_running_mean'] + 0.1 * mean
                given[f'after_{block}_bn_running_var'] = 0.9 * p['bn_running_var'] + 0.1 * var
                added = batch_norm_2d(added, p['bn_weight'], p['bn_bias'])
            else:
                mean, var = p['bn_running_mean'][:, None, None], p['bn_running_var'][:, None, None]
                added = ((added - mean) / (var + 1e-5).sqrt() * p['bn_weight'][:, None, None]
                         + p['bn_bias'][:, None, None])
            out = out + added
            given['channel_out' if block == 'channel' else 'out'] = out
        return given

    trained = run(True)
    put(case, prefix, {**maps, **trained, 'out_eval': run(False)['out']})
    parameters = {key: p for key, p in parameters.items() if 'running' not in key}
    (trained['out'] * maps.pop('upstream').detach()).sum().backward()
    put(case, prefix, {**gradients(parameters), **gradients(maps)})


def add_expansion(case, gauss, channels):
    put(case, 'dee', expansion_parameters(gauss, channels))
    parameters = leaves(case, 'dee')
    x, upstream = leaf(gauss(2, channels, 4, 5)), leaf(gauss(6, channels, 4, 5))
    out = naive_expansion(x, parameters)
    (out * upstream.detach()).sum().backward()
    put(case, 'dee', dict(x=x, upstream=upstream, out=out, grad_x=x.grad, **gradients(parameters)))


def add_pair_mining(case, gauss, num_ids, per_id, dim):
    case['cpm_ids'] = ids = np.tile(np.repeat(np.arange(num_ids) + 3, per_id), 2)
    case['cpm_modality'] = modality = np.repeat([0, 1], num_ids * per_id)
    people = gauss(num_ids + 3, dim)
    for name, spread, noise in (('mixed', 1, 0.6), ('near', 0.05, 0.05), ('far', 3, 0.3)):
        real, generated = (leaf(spread * people[ids] + gauss(len(ids), dim, scale=noise))
                           for _ in range(2))
        loss = naive_pair_mining(real, generated, ids, modality)
        loss.backward()
        put(case, f'cpm_{name}', dict(
            real=real, generated=generated, loss=loss, grad_real=real.grad,
            grad_generated=generated.grad))


def add_training_step(case, gauss, num_ids, per_id, channels, num_classes):
    case['step_ids'] = ids = np.tile(np.repeat(np.arange(num_ids), per_id), 2)
    case['step_modality'] = modality = np.repeat([0, 1], num_ids * per_id)
    put(case, 'step_dee', expansion_parameters(gauss, channels))
    put(case, 'step', dict(bn_weight=1 + gauss(channels, scale=0.1),
                           classifier_weight=gauss(num_classes, channels, scale=0.3)))
    people = gauss(num_ids, channels)
    maps = {name: leaf(np.abs(
        people[rows][:, :, None, None] + gauss(len(rows), channels, 4, 2, scale=0.7)))
        for name, rows in (('visible', ids[modality == 0]), ('infrared', ids[modality == 1]))}
    parameters = leaves(case, 'step_dee')
    gamma, weight = leaf(case['step_bn_weight']), leaf(case['step_classifier_weight'])
    pool = naive_expansion(torch.cat(list(maps.values())), parameters).mean((2, 3))
    pool.retain_grad()
    logits = batch_norm(pool, gamma) @ weight.T
    every, rows = np.tile(ids, 3), pool.unflatten(0, (3, -1))
    losses = dict(
        loss_ce=cross_entropy(logits, every), loss_triplet=naive_triplet(pool, every),
        loss_cpm_1=naive_pair_mining(rows[0], rows[1], ids, modality),
        loss_cpm_2=naive_pair_mining(rows[0], rows[2], ids, modality),
        loss_ort=naive_orthogonality(rows.transpose(0, 1)))
    ce, triplet, cpm_1, cpm_2, ort = losses.values()
    total = ce + triplet + 0.8 * (cpm_1 + cpm_2) + 0.01 * ort
    total.backward()
    put(case, 'step', dict(
        pool=pool, logits=logits, total=total, grad_pool=pool.grad, grad_bn_weight=gamma.grad,
        grad_classifier_weight=weight.grad, bn_running_mean=0.1 * pool.mean(0),
        bn_running_var=0.9 + 0.1 * pool.var(0), **losses,
        **{f'map_{name}': x for name, x in maps.items()},
        **{f'grad_map_{name}': x.grad for name, x in maps.items()}))
    put(case, 'step_grad_dee', {name: p.grad for name, p in parameters.items()})


def add_inference(case, gauss, sizes, channels):
    put(case, 'inf', dict(
        bn_weight=case['step_bn_weight'], bn_running_mean=np.abs(gauss(channels)),
        bn_running_var=0.5 + gauss(channels)**2))
    mean, var, gamma = (torch.from_numpy(case[f'inf_bn_{name}']).double()
                        for name in ('running_mean', 'running_var', 'weight'))
    parameters, sums = leaves(case, 'step_dee'), {}
    for side, number in sizes.items():
        case[f'inf_{side}_map'] = maps = np.abs(gauss(number, channels, 4, 2))
        for view, x in (('plain', maps), ('flip', maps[..., ::-1].copy())):
            pool = naive_expansion(torch.from_numpy(x).double(), parameters).mean((2, 3))
            feat = (pool - mean) / (var + 1e-5).sqrt() * gamma
            for name, rows in (('pool', pool), ('feat', feat)):
                unit = (rows / rows.norm(dim=1, keepdim=True)).unflatten(0, (3, -1))
                put(case, f'inf_{side}_{name}', {view: unit.transpose(0, 1)})
                sums[side, name] = sums.get((side, name), 0) + unit.detach()
    each = torch.stack([torch.stack([sums['query', name][b] @ sums['gallery', name][b].T
                                     for name in ('pool', 'feat')]) for b in range(3)]).numpy()
    case['inf_similarity_each'] = each
    case['inf_similarity_sum'] = each.sum((0, 1))
    case['inf_similarity_weighted'] = 0.1 * each[:, 0].sum(0) + 0.9 * each[:, 1].sum(0)


def small_case(num_ids=3, per_id=2, channels=8, num_classes=5, seed=0):
    rng = np.random.default_rng(seed)

    def gauss(*shape, scale=1.0):
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    case = {}
    add_aggregation(case, gauss, 'same', 6, 4, (4, 3), 1)
    add_aggregation(case, gauss, 'down', 6, 4, (2, 3), 2)
    add_expansion(case, gauss, channels)
    add_pair_mining(case, gauss, num_ids + 1, per_id, channels)
    add_training_step(case, gauss, num_ids, per_id, channels, num_classes)
    add_inference(case, gauss, dict(gallery=5, query=4), channels)
    return case
