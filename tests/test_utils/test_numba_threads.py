"""Compiled loops next to PyTorch."""

import subprocess
import sys

import numba
import numpy as np
import pytest
import torch

from mmvireid.utils.numba_threads import parallel_kernel

PROGRAM = """
import torch
import numpy as np
from mmvireid.evaluation import rank_metrics
torch.set_num_threads(1)
rank_metrics(np.eye(4), np.arange(4), np.arange(4), protocol='regdb')
print(torch.get_num_threads())
"""


def test_the_first_loop_of_a_process_leaves_torch_its_threads():
    output = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True,
                            check=True)
    assert output.stdout.strip() == '1'


@parallel_kernel()
def squares(values):
    """Square each value."""
    out = np.empty_like(values)
    for i in numba.prange(len(values)):
        out[i] = values[i] ** 2
    return out


@parallel_kernel()
def failing(values):
    """Raise for negative values."""
    if values[0] < 0:
        raise ValueError('negative')
    for i in numba.prange(len(values)):
        values[i] += 1
    return values


@pytest.mark.parametrize('threads', [1, 2])
def test_a_loop_runs_on_torch_threads(threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert squares(np.arange(5.0)).tolist() == [0, 1, 4, 9, 16]
        assert torch.get_num_threads() == threads
        with pytest.raises(ValueError, match='negative'):
            failing(np.array([-1.0]))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
