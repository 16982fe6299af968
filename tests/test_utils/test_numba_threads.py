"""Compiled loops next to PyTorch."""

import os
import shutil
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


IMPORT_AND_SEARCH = """
import sys
import warnings
import numpy as np
from numba.core.event import install_recorder
with install_recorder('numba:compile') as compiled:
    import mmvireid.search, mmvireid.clustering, mmvireid.evaluation
assert not compiled.buffer
assert mmvireid.__file__.startswith(sys.argv[1]), mmvireid.__file__
rows = np.eye(4, dtype=np.float32)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    for _ in range(2):
        scores, found = mmvireid.search.topk(rows, rows, 1)
        mmvireid.evaluation.rank_metrics(1 - rows, np.arange(4), np.arange(4), protocol='regdb')
print(found.ravel().tolist(), [str(w.message) for w in caught if 'NUMBA' in str(w.message)])
"""


def test_somebody_elses_installation(repo_root, tmp_path):
    """Another user than the installer, who has no home: neither may a cache be written to.

    Nothing stops root from writing, so files stand where the folders would be.
    """
    package = tmp_path / 'mmvireid'
    shutil.copytree(repo_root / 'mmvireid', package, ignore=shutil.ignore_patterns('__pycache__'))
    for folder in {path.parent for path in package.rglob('*.py')}:
        (folder / '__pycache__').touch()
    before = sorted(tmp_path.rglob('*'))
    environment = dict(os.environ, PYTHONPATH=str(tmp_path), HOME='/dev/null',
                       XDG_CACHE_HOME='/dev/null', PYTHONDONTWRITEBYTECODE='1')
    environment.pop('NUMBA_CACHE_DIR', None)
    done = subprocess.run([sys.executable, '-c', IMPORT_AND_SEARCH, str(tmp_path)],
                          env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('[0, 1, 2, 3] [')
    assert done.stdout.count('numba cannot keep what it compiles') == 1
    assert sorted(tmp_path.rglob('*')) == before


def test_a_cache_that_is_lost_on_the_way(monkeypatch):
    """A full disk, for example: numba writes what it compiled before it runs it."""

    @parallel_kernel()
    def doubled(values):
        for i in numba.prange(len(values)):
            values[i] *= 2

    def full(*arguments):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('numba.core.caching.FunctionCache.save_overload', full)
    monkeypatch.setattr('mmvireid.utils.numba_threads._warned', False)
    values = np.arange(3.0)
    with pytest.warns(UserWarning, match='No space left on device.*set NUMBA_CACHE_DIR'):
        doubled(values)
    assert values.tolist() == [0, 2, 4]
