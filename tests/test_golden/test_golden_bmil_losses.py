"""Losses, gradients and updates of the cluster memory, step by step (BMIL)."""

import re
from copy import copy

import pytest
import torch
from reference.cluster_memory import loss_and_grad

from mmvireid.models import ClusterMemory

pytestmark = pytest.mark.golden('bmil_losses')

ATOL, ATOL_GRAD = 2e-6, 1e-7
#: Prefix of a kind of memory -> its options.
OPTIONS = {'cmhybrid': {'mode': 'hybrid'},
           'cm': {'mode': 'mean', 'margin': 0, 'mean_update': 'sample'}}
BLOCKS = {'hybrid': 2, 'mean': 1}


def close(actual, expected, atol):
    expected = torch.from_numpy(expected)
    atol = max(atol, 1e-6 * float(expected.abs().max()))
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


def steps_of(golden, pattern):
    """Name the steps whose arrays match, in order."""
    return sorted(int(step[1]) for step in filter(None, (
        re.fullmatch(pattern, name) for name in golden)))


def test_memories_within_a_modality(golden):
    memories = {re.fullmatch(r'(intra_[a-z]+_([a-z]+)_)mem0', name) for name in golden} - {None}
    for prefix, kind in (memory.groups() for memory in memories):
        memory = ClusterMemory(**OPTIONS[kind])
        start = torch.from_numpy(golden[f'{prefix}mem0'])
        memory.reset(start.chunk(BLOCKS[memory.mode])[0])
        close(memory.prototypes, golden[f'{prefix}mem0'], 1e-6)
        for s in steps_of(golden, rf'{prefix}x(\d+)'):
            x, y = (torch.from_numpy(golden[f'{prefix}{name}{s}']) for name in 'xy')
            loss, grad = loss_and_grad(lambda v, m=memory, y=y: m(v, y), x)
            memory.update(x, y)
            close(loss, golden[f'{prefix}loss{s}'], ATOL)
            close(grad, golden[f'{prefix}grad{s}'], ATOL_GRAD)
            close(memory.prototypes, golden[f'{prefix}mem{s}'], ATOL)


def test_memory_of_both_modalities(golden):
    groups = torch.from_numpy(golden['glb_proxy_label'])
    memory = ClusterMemory('hybrid')
    memory.reset(torch.from_numpy(golden['glb_mem0'])[:len(groups)], groups)
    close(memory.prototypes, golden['glb_mem0'], 1e-6)
    for s in steps_of(golden, r'glb_s(\d+)_loss'):
        prefix = f'glb_s{s}_'
        x, y = ({side: torch.from_numpy(golden[f'{prefix}{name}_{side}'])
                 for side in ('vis', 'ir')} for name in ('x', 'idx'))
        losses = {}
        for modality, side in enumerate(('vis', 'ir')):
            assert (golden['glb_proxy_mod'][y[side]] == modality).all()
            losses[side], grad = loss_and_grad(
                lambda v, y=y[side]: memory(v, y), x[side])
            close(losses[side], golden[f'{prefix}loss_{side}'], ATOL)
            close(grad / 2, golden[f'{prefix}gradclean_{side}'], ATOL_GRAD)
            if side == 'vis':
                close(grad / 2, golden[f'{prefix}grad_vis'], ATOL_GRAD)
        close((losses['vis'] + losses['ir']) / 2, golden[f'{prefix}loss'], ATOL)

        # As the release: the visible images have moved the memory before the other gradient.
        moved = copy(memory)
        moved.update(x['vis'], y['vis'])
        loss, grad = loss_and_grad(
            lambda v, y=y['ir'], moved=moved: memory.loss(v, y, moved=moved), x['ir'])
        close(loss, golden[f'{prefix}loss_ir'], ATOL)
        close(grad / 2, golden[f'{prefix}grad_ir'], ATOL_GRAD)
        for side in ('vis', 'ir'):
            memory.update(x[side], y[side])
        close(memory.prototypes, golden[f'{prefix}mem_after'], ATOL)
