"""Steps of training with images that are compared with the memory of the other modality."""

import numpy as np
import torch
from reference.cluster_memory import loss_and_grad

OTHER = {'vis': 'ir', 'ir': 'vis'}


def draw_batch(rng, centres, num_clusters, num_images, views=1, spread=1.5):
    """Features around some of the centres, clusters one after another, and their clusters."""
    drawn = rng.choice(len(centres), num_clusters, replace=False)
    y = np.tile(np.repeat(drawn, num_images), views)
    x = 2 * (centres[y] + spread * rng.standard_normal((len(y), centres.shape[1])))
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y)


def naive_step(memories, x, y, crossing=None, partners=None, weight=0.25):
    """Losses, gradients and memories of a step in the form of the released results.

    ``crossing`` is the side whose images are compared with the other side's memory, where
    ``partners`` (K,) says which cluster of the other side theirs belongs to.
    """
    losses, clean = {}, {}
    for side in ('vis', 'ir'):
        losses[side], clean[side] = loss_and_grad(
            lambda v, s=side: memories[s].loss(v, y[s]), x[side])
    moved = {side: grad.clone() for side, grad in clean.items()}
    total = losses['vis'] + losses['ir']
    if crossing:
        targets, memory = partners[y[crossing]], memories[OTHER[crossing]]
        losses['cross'], grad = loss_and_grad(
            lambda v: weight * memory.loss(v, targets), x[crossing])
        total = total + losses['cross']
        losses['cross'] = losses['cross'] / weight
        clean[crossing] += grad
        moved[crossing] += grad
        before = {name: list(rows) for name, rows in memory.rows.items()}
        memory.update(x[crossing], targets)
        # The release moves the memory before it forms the gradient of the memory's own loss.
        side = OTHER[crossing]
        _, moved[side] = loss_and_grad(
            lambda v: memory.loss(v, y[side], values_of=before), x[side])
    for side in ('vis', 'ir'):
        memories[side].update(x[side], y[side])
    arrays = {f'loss_{name}': value for name, value in losses.items()} | {'loss': total}
    for side in ('vis', 'ir'):
        arrays |= {f'gradclean_{side}': clean[side], f'grad_{side}': moved[side],
                   f'mem_{side}': memories[side].prototypes}
    return arrays
