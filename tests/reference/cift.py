"""CIFT node by node in float64, and a small case in the form of ``cift.npz``."""

import numpy as np
import torch
from reference.metric_losses import naive_hetero_center_cluster
from reference.ranking import naive_ranking

DIRECTIONS = ('r2i', 'i2r')


def naive_row(x, i, sources, temperature, k):
    """Affinity of node i: the k most similar of its sources."""
    row = [x.new_zeros(()) for _ in range(len(x))]
    cosine = {}
    for j in sources:
        cosine[j] = (x[i] * x[j]).sum() / (x[i].norm() * x[j].norm())
    kept = sorted(sources, key=lambda j: -cosine[j].item())[:k]
    weight = {j: torch.exp(cosine[j] / temperature) for j in kept}
    total = sum(weight.values())
    for j in kept:
        row[j] = weight[j] / total
    return torch.stack(row)


def naive_affinity(x, is_query, self_edges=True, k=4, tau_het=0.2, tau_hom=0.4):
    x = x.double()
    gallery = [j for j in range(len(x)) if not is_query[j]]
    rows = []
    for i in range(len(x)):
        sources = [j for j in gallery if j != i]
        if self_edges:
            sources.append(i)
        rows.append(naive_row(x, i, sources, tau_het if is_query[i] else tau_hom, k))
    return torch.stack(rows)


def naive_counterfactual(x, is_query, draws, c, k):
    """Affinity of each draw, and the mean of the transferred features."""
    affinities = [
        naive_affinity(noise.double() * torch.clamp(c.double(), min=0) + k.double(), is_query,
                       self_edges=False) for noise in draws
    ]
    outs = [a @ x.double() for a in affinities]
    return torch.stack(affinities), sum(outs) / len(outs)


def cross_entropy(logits, labels):
    terms = [torch.logsumexp(row, 0) - row[label] for row, label in zip(logits, labels)]
    return sum(terms) / len(terms)


def batch_norm(x, gamma):
    mean = x.mean(0)
    variance = ((x - mean)**2).mean(0)
    return (x - mean) / torch.sqrt(variance + 1e-5) * gamma


def queries_of(direction, modality):
    return modality == (0 if direction == 'r2i' else 1)


def small_case(num_ids=3, per_id=2, dim=8, num_classes=5, num_draws=2, num_gallery=30,
               num_query=20, seed=0):
    rng = np.random.default_rng(seed)
    rows = 2 * num_ids * per_id
    label = np.tile(np.repeat(np.arange(num_ids), per_id), 2)
    modality = torch.arange(rows) >= rows // 2

    def gauss(*shape, scale=1.0):
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    people = gauss(num_ids, dim)
    case = {
        'graph_x': people[label] + gauss(rows, dim, scale=0.7),
        'graph_label': label,
        'graph_num_vis': np.int64(rows // 2),
        'graph_upstream': gauss(rows, dim),
        'tiny_x': gauss(7, dim),
        'tiny_num_vis': np.int64(3),
        'cf_gen_c': rng.uniform(-0.5, 2, (rows, 1)).astype(np.float32),
        'cf_gen_k': gauss(rows, dim, scale=0.5),
        'hcc_label': label,
        'hcc_euc_near_x': np.abs(gauss(rows, dim, scale=0.15)),
        'hcc_euc_far_x': np.abs(people[label] * 3 + gauss(rows, dim)),
        'hcc_kl_flat_x': gauss(rows, num_classes, scale=0.1),
        'hcc_kl_mid_x': gauss(rows, num_classes, scale=2),
        'hcc_kl_sharp_x': gauss(rows, num_classes, scale=15),
        'train_pool': np.abs(people[label] + gauss(rows, dim)),
        'train_label': label,
        'train_gen_c': rng.uniform(-0.5, 2, (rows, 1)).astype(np.float32),
        'train_gen_k': gauss(rows, dim, scale=0.5),
        'inf_gallery': gauss(num_gallery, dim),
        'inf_query': gauss(num_query, dim),
        # Whoever is asked for is in gallery cameras 1 and 2.
        'inf_gallery_pid': np.arange(num_gallery) % (num_gallery // 4),
        'inf_gallery_cam': np.repeat([1, 2, 4, 5], num_gallery // 4 + 1)[:num_gallery],
        'inf_query_pid': rng.integers(0, num_gallery // 4, num_query),
        'inf_query_cam': rng.permutation(np.arange(num_query) % 2 * 3 + 3),
    }
    for direction in DIRECTIONS:
        case[f'cf_noise_{direction}'] = gauss(num_draws, rows, dim)
        case[f'cf_w_{direction}'] = gauss(num_classes, dim, scale=0.3)
        case[f'train_noise_{direction}'] = gauss(num_draws, rows, dim)
    for branch in ('b', *DIRECTIONS):
        case[f'train_gamma_{branch}'] = 1 + gauss(dim, scale=0.1)
        case[f'train_init_w_{branch}'] = gauss(num_classes, dim, scale=0.001)
        case[f'train_gen_w_{branch}'] = gauss(num_classes, dim, scale=0.35)
    add_graph(case, modality)
    add_counterfactual(case, modality)
    add_losses(case, modality)
    for name in ('init', 'gen'):
        add_training_step(case, modality, name)
    add_inference(case)
    return case


def leaf(array):
    return torch.from_numpy(np.array(array)).double().requires_grad_()


def store(case, name, tensor):
    case[name] = tensor.detach().numpy().astype(np.float32)


def add_graph(case, modality):
    tiny = torch.from_numpy(case['tiny_x'])
    tiny_modality = torch.arange(len(tiny)) >= int(case['tiny_num_vis'])
    for direction in DIRECTIONS:
        x = leaf(case['graph_x'])
        affinity = naive_affinity(x, queries_of(direction, modality))
        out = affinity @ x
        (out * torch.from_numpy(case['graph_upstream'])).sum().backward()
        store(case, f'graph_a_{direction}', affinity)
        store(case, f'graph_out_{direction}', out)
        store(case, f'graph_grad_x_{direction}', x.grad)
        affinity = naive_affinity(tiny, queries_of(direction, tiny_modality))
        store(case, f'tiny_a_{direction}', affinity)
        store(case, f'tiny_out_{direction}', affinity @ tiny.double())


def parameters_of(case, prefix, name, rows, dim):
    if name == 'init':
        return leaf(np.ones((rows, 1))), leaf(np.zeros((rows, dim)))
    return leaf(case[f'{prefix}_gen_c']), leaf(case[f'{prefix}_gen_k'])


def add_counterfactual(case, modality):
    for name in ('init', 'gen'):
        for direction in DIRECTIONS:
            x, w = leaf(case['graph_x']), leaf(case[f'cf_w_{direction}'])
            c, k = parameters_of(case, 'cf', name, *x.shape)
            is_query = queries_of(direction, modality)
            draws = torch.from_numpy(case[f'cf_noise_{direction}'])
            affinity, out = naive_counterfactual(x, is_query, draws, c, k)
            effect = (naive_affinity(x, is_query) @ x - out) @ w.T
            loss = cross_entropy(effect, case['graph_label'])
            loss.backward()
            prefix = f'cf_{name}_{direction}'
            values = {'a': affinity, 'out': out, 'ytie': effect, 'loss': loss, 'grad_x': x.grad,
                      'grad_w': w.grad, 'grad_c': c.grad, 'grad_k': k.grad}
            for key, value in values.items():
                store(case, f'{prefix}_{key}', value)


def add_losses(case, modality):
    x = leaf(case['hcc_kl_mid_x'])
    loss = cross_entropy(x, case['hcc_label'])
    loss.backward()
    for name, value in (('x', x), ('loss', loss), ('grad', x.grad)):
        store(case, f'ce_{name}', value)
    for kind, names in (('euc', ('near', 'far')), ('kl', ('flat', 'mid', 'sharp'))):
        for name in names:
            prefix = f'hcc_{kind}_{name}'
            distance = 'kl' if kind == 'kl' else 'euclidean'
            for value, grad, margin in (('loss', 'grad', None), ('pull', 'grad_pull', -1e9)):
                x = leaf(case[f'{prefix}_x'])
                loss = naive_hetero_center_cluster(
                    x, case['hcc_label'], modality, distance, margin)
                loss.backward()
                store(case, f'{prefix}_{value}', loss)
                store(case, f'{prefix}_{grad}', x.grad)


def add_training_step(case, modality, name):
    prefix = f'train_{name}'
    label = case['train_label']
    pool = leaf(case['train_pool'])
    branches = ('b', *DIRECTIONS)
    w = {b: leaf(case[f'{prefix}_w_{b}']) for b in branches}
    gamma = {b: leaf(case[f'train_gamma_{b}']) for b in branches}
    c, k = parameters_of(case, 'train', name, *pool.shape)
    feature = {b: batch_norm(pool, gamma[b]) for b in branches}
    logits = {'y_b': feature['b'] @ w['b'].T}
    losses = {
        'ce_b': cross_entropy(logits['y_b'], label),
        'hcc_euc': naive_hetero_center_cluster(pool, label, modality, 'euclidean'),
        'hcc_kl_b': naive_hetero_center_cluster(logits['y_b'], label, modality, 'kl'),
    }
    total = sum(losses.values())
    for d in DIRECTIONS:
        x, is_query = feature[d], queries_of(d, modality)
        affinity = naive_affinity(x, is_query)
        draws = torch.from_numpy(case[f'train_noise_{d}'])
        _, alternative = naive_counterfactual(x, is_query, draws, c, k)
        logits[f'y_{d}'] = affinity @ x @ w[d].T
        logits[f'ytie_{d}'] = (affinity @ x - alternative) @ w[d].T
        losses[f'ce_{d}'] = cross_entropy(logits[f'y_{d}'], label)
        losses[f'hcc_kl_{d}'] = naive_hetero_center_cluster(
            logits[f'y_{d}'], label, modality, 'kl')
        losses[f'tie_{d}'] = cross_entropy(logits[f'ytie_{d}'], label)
        total = total + (losses[f'ce_{d}'] + losses[f'hcc_kl_{d}'] + losses[f'tie_{d}']) / 2
        store(case, f'train_a_{d}', affinity)
    total.backward()
    store(case, f'{prefix}_total', total)
    for key, value in {**logits, **{f'loss_{n}': v for n, v in losses.items()}}.items():
        store(case, f'{prefix}_{key}', value)
    grads = {'grad_c': c.grad, 'grad_k': k.grad}
    for b in branches:
        grads[f'grad_w_{b}'] = w[b].grad
        grads[f'grad_gamma_{b}'] = gamma[b].grad
    for key, value in {**grads, 'grad_pool': pool.grad}.items():
        store(case, f'{prefix}_{key}', value)
    store(case, f'{prefix}_grad_norm', sum((g**2).sum() for g in grads.values()).sqrt())
    rows = len(pool)
    store(case, f'{prefix}_running_mean', 0.1 * pool.mean(0))
    store(case, f'{prefix}_running_var', 0.9 + 0.1 * pool.var(0, correction=0) * rows / (rows - 1))


def add_inference(case):
    def unit(name):
        x = torch.from_numpy(case[name]).double()
        return x / x.norm(dim=1, keepdim=True)

    gallery, query = unit('inf_gallery'), unit('inf_query')
    nodes = torch.cat([gallery, query])
    is_query = torch.arange(len(nodes)) >= len(gallery)
    for prefix, queries in (('inf', is_query), ('inf_r2i', ~is_query)):
        affinity = naive_affinity(nodes, queries)
        out = affinity @ nodes
        store(case, f'{prefix}_a', affinity)
        direction = out / out.norm(dim=1, keepdim=True)
        cosine = direction[queries] @ direction[~queries].T
        store(case, f'{prefix}_cos', cosine)
        if prefix == 'inf':
            store(case, 'inf_gallery_out', out[:len(gallery)])
            store(case, 'inf_query_out', out[len(gallery):])
            expected = naive_ranking(
                -cosine, case['inf_query_pid'], case['inf_gallery_pid'], case['inf_query_cam'],
                case['inf_gallery_cam'], protocol='sysu', count_identities=False)
            case.update({f'inf_{name}': np.asarray(expected[name])
                         for name in ('cmc', 'mAP', 'mINP')})
        else:
            store(case, 'inf_r2i_out', out)
