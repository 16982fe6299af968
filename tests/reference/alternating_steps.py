"""Steps of training with images that are compared with the memory of the other modality."""

from copy import copy
from typing import Any, NamedTuple

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


class Part(NamedTuple):
    """One comparison of the images of a side with a memory, or with each other."""

    name: str
    weight: float
    side: str
    memory: Any  # a NaiveMemory; None for a function of the features alone
    targets: Any  # labels; or that function
    options: dict = {}


def take_step(parts, x):
    """Give the arrays of a step, and move the memories in the order of the parts.

    All values are those before the step. ``gradclean`` is the gradient of the total,
    ``grad`` has moved memories in place of those that earlier parts have moved.
    """
    # Updates write into the lists.
    before = {id(part.memory): {name: list(rows) for name, rows in part.memory.rows.items()}
              for part in parts if part.memory is not None}
    total, arrays = 0, {}
    grads = {(kind, side): torch.zeros_like(rows)
             for kind in ('gradclean', 'grad') for side, rows in x.items()}
    for part in parts:
        rows = x[part.side]
        if part.memory is None:
            loss, grad = loss_and_grad(part.targets, rows)
            for kind in ('gradclean', 'grad'):
                grads[kind, part.side] += part.weight * grad
        else:
            old = before[id(part.memory)]
            fixed = copy(part.memory)
            fixed.rows = old
            for kind, memory in (('gradclean', fixed), ('grad', part.memory)):
                loss, grad = loss_and_grad(
                    lambda v, p=part, m=memory, o=old: m.loss(
                        v, p.targets, values_of=o, **p.options), rows)
                grads[kind, part.side] += part.weight * grad
            part.memory.update(rows, part.targets)
        arrays[f'loss_{part.name}'] = loss
        total = total + part.weight * loss
    arrays['loss'] = total
    arrays |= {f'{kind}_{side}': grad for (kind, side), grad in grads.items()}
    return {name: np.asarray(value, np.float32) for name, value in arrays.items()}


def naive_step(memories, x, y, crossing=None, partners=None, weight=0.25):
    """Losses, gradients and memories of a step in the form of the released results.

    ``crossing`` is the side whose images are compared with the other side's memory, where
    ``partners`` (K,) says which cluster of the other side theirs belongs to.
    """
    parts = [Part(side, 1, side, memories[side], y[side]) for side in OTHER]
    if crossing:
        parts.insert(0, Part('cross', weight, crossing, memories[OTHER[crossing]],
                             partners[y[crossing]]))
    return take_step(parts, x) | {
        f'mem_{side}': memory.prototypes for side, memory in memories.items()}
