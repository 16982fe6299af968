"""Steps of a head against released losses, gradients and memories."""

import re

import numpy as np
import torch
from reference.cluster_memory import loss_and_grad

from mmvireid.models import ClusterContrastHead
from mmvireid.structures import BatchInfo, ImageSet

#: Tolerances of the README: of losses and of memories; of gradients a share of the largest.
ATOL_LOSS, ATOL_MEMORY, RTOL_GRAD = 1e-5, 2e-6, 1e-5
#: Memory -> how the arrays call it.
SIDES = {'visible': 'vis', 'infrared': 'ir'}


def clusters_as_images(visible, infrared):
    """One image for each cluster, so that given centroids are those of the clusters."""
    features = torch.from_numpy(np.concatenate([visible, infrared]))
    modality = np.repeat([0, 1], [len(visible), len(infrared)])
    numbers = np.arange(len(features))
    return ImageSet(dict(base=features), identity=np.full(len(features), -1),
                    camera=modality + 1, modality=modality, sample_idx=numbers), numbers


def filled_head(labels, memory, gradient='fixed', **branch):
    """A head with one branch and its memories at the start."""
    dim = next(iter(labels.prototypes.values())).centroids.shape[1]
    head = ClusterContrastHead(
        dim, dict(all=dict(memory=memory, cross_gradient=gradient, **branch)))
    head.reset(dict(all=labels))
    return head


def steps_of(golden, prefix):
    """Number the steps whose results begin with a prefix."""
    return sorted({int(found[1]) for found in (
        re.match(re.escape(prefix) + r's(\d+)_loss', name) for name in golden) if found})


def close(actual, expected, atol):
    torch.testing.assert_close(actual.detach().float(), torch.from_numpy(expected).float(),
                               atol=atol, rtol=0)


def check_steps(golden, inputs, results, labels, memory, index_of, rtol_grad=RTOL_GRAD,
                **branch):
    """Compare all steps from the same memories, with both gradients.

    Inputs are named ``<inputs>s1_x_vis`` and so on, results ``<results>s1_loss`` and so on.
    ``index_of(step, side)`` says which image each row is of, as the labels number them.
    """
    steps = steps_of(golden, results)
    assert steps
    for gradient, prefix in (('fixed', 'gradclean'), ('moved', 'grad')):
        head = filled_head(labels, memory, gradient, **branch)
        for step in steps:
            x = [torch.from_numpy(golden[f'{inputs}s{step}_x_{side}']) for side in SIDES.values()]
            index = [torch.as_tensor(index_of(step, side)) for side in SIDES.values()]
            info = BatchInfo(
                modality=torch.repeat_interleave(torch.arange(2), torch.tensor([*map(len, x)])),
                index=torch.cat(index), branch='all')
            found = {}

            def total(visible, infrared, head=head, info=info, found=found):
                found.update(head.contrast(torch.cat([visible, infrared]), info))
                return sum(found.values())

            loss, *grads = loss_and_grad(total, *x)
            head.update_memories()
            at = f'{results}s{step}_'
            close(loss, golden[f'{at}loss'], ATOL_LOSS)
            weights = {term.loss: term.weight for term in labels.terms}
            for name, value in found.items():
                name = name.removeprefix('loss_all_')
                if f'{at}loss_{SIDES.get(name, name)}' in golden:
                    close(value / weights[name], golden[f'{at}loss_{SIDES.get(name, name)}'],
                          ATOL_LOSS)
            for side, grad in zip(SIDES.values(), grads):
                if f'{at}{prefix}_{side}' in golden:
                    expected = golden[f'{at}{prefix}_{side}']
                    close(grad, expected, rtol_grad * np.abs(expected).max())
            for name, filled in head.memories('all').items():
                close(filled.prototypes, golden[f'{at}mem_{SIDES.get(name, name)}'], ATOL_MEMORY)
