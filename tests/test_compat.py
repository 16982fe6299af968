"""Engine families, launches without a GPU, whole-file writes."""

import errno
import logging
import os
import subprocess
import sys

import pytest

from mmvireid.compat import (
    ENGINE_FAMILY,
    atomic_storage,
    check_engine_family,
    drop_missing_plot_backend,
    prepare_cpu_launch,
    raise_log_errors,
)
from mmvireid.utils.errors import EnvironmentMismatchError, WorkDirError
from mmvireid.utils.files import described_write_errors, write_atomically

KEPT = list(ENGINE_FAMILY)


def test_one_family_is_fine():
    check_engine_family([*KEPT, 'torch'])


@pytest.mark.parametrize(('installed', 'words'), [
    (['torch'], 'are missing'),
    (KEPT[:2], 'onedl-mmpretrain is missing'),
    (['mmengine', 'mmcv', 'mmpretrain'], 'pip uninstall -y mmengine mmcv mmpretrain'),
    ([*KEPT, 'mmcv'], 'two families'),
    ([*KEPT[:1], 'mmcv-lite'], 'pip uninstall -y mmcv-lite'),
])
def test_other_families_get_one_sentence(installed, words):
    with pytest.raises(EnvironmentMismatchError) as error:
        check_engine_family(installed)
    message = str(error.value)
    assert words in message
    assert 'mmvireid[onedl]' in message
    assert '\n' not in message


def test_launch_without_gpu_needs_torchrun(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    cfg = {}
    prepare_cpu_launch(cfg, 'none')
    assert cfg == {}
    with pytest.raises(EnvironmentMismatchError, match='--launcher pytorch'):
        prepare_cpu_launch(cfg, 'slurm')


def test_launch_with_gpu_is_left_alone(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    cfg = {}
    prepare_cpu_launch(cfg, 'pytorch')
    assert cfg == {}


def test_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / 'epoch_1.pth'
    write_atomically(b'good', target)

    def interrupted(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(b'half', target)
    assert target.read_bytes() == b'good'
    assert [path.name for path in tmp_path.iterdir()] == ['epoch_1.pth']


def test_written_files_have_ordinary_rights(tmp_path):
    plain, ours = tmp_path / 'plain', tmp_path / 'folder' / 'ours'
    plain.write_bytes(b'')
    write_atomically(b'', ours)
    assert ours.stat().st_mode == plain.stat().st_mode


def test_mmengine_writes_whole_files_where_it_is_asked_to(tmp_path, monkeypatch):
    from mmengine.fileio import LocalBackend, get_file_backend
    backend = get_file_backend(str(tmp_path / 'x'), backend_args=atomic_storage())
    assert type(get_file_backend(str(tmp_path / 'x'))) is LocalBackend
    backend.put(b'good', tmp_path / 'x')

    def interrupted(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend.put(b'half', tmp_path / 'x')
    assert (tmp_path / 'x').read_bytes() == b'good'


def test_a_full_disk_is_one_sentence_and_the_old_checkpoint_stays(tmp_path, monkeypatch):
    from mmengine.runner import save_checkpoint
    storage = atomic_storage()
    save_checkpoint({'epoch': 1}, str(tmp_path / 'epoch_1.pth'), backend_args=storage)
    before = (tmp_path / 'epoch_1.pth').read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(WorkDirError, match='No space left on device.*free space.*--resume'):
        save_checkpoint({'epoch': 2}, str(tmp_path / 'epoch_2.pth'), backend_args=storage)
    assert [path.name for path in tmp_path.iterdir()] == ['epoch_1.pth']
    assert (tmp_path / 'epoch_1.pth').read_bytes() == before


@pytest.mark.parametrize(('number', 'cure'), [
    (errno.EDQUOT, 'quota'), (errno.EFBIG, 'ulimit'), (errno.EROFS, 'choose a folder'),
    (errno.EACCES, 'access rights')])
def test_what_the_system_refuses_says_what_to_do(number, cure):
    with pytest.raises(WorkDirError, match=f'"out.json" cannot be written .*{cure}'), \
            described_write_errors('out.json'):
        raise OSError(number, os.strerror(number))


def test_a_limit_on_the_size_of_files_leaves_the_old_file(tmp_path):
    """By the system itself, in a process of its own: the limit cannot be lifted again."""
    program = """
import resource, sys
from pathlib import Path
from mmvireid.utils.errors import WorkDirError
from mmvireid.utils.files import write_atomically
path = Path(sys.argv[1])
write_atomically(b'good', path)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(bytes(5000), path)
except WorkDirError as error:
    print(error)
"""
    finished = subprocess.run(
        [sys.executable, '-c', program, tmp_path / 'x'], capture_output=True, text=True,
        check=True)
    assert 'File too large' in finished.stdout
    assert 'ulimit' in finished.stdout
    assert [path.name for path in tmp_path.iterdir()] == ['x']
    assert (tmp_path / 'x').read_bytes() == b'good'


def test_a_log_that_cannot_be_written_stops_the_run(tmp_path, monkeypatch, capsys):
    logger = logging.Logger('run')
    handler = logging.FileHandler(tmp_path / 'run.log')
    logger.addHandler(handler)
    raise_log_errors(logger)
    logger.info('fine')

    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(handler, 'flush', full)
    with pytest.raises(WorkDirError, match='run.log" cannot be written .*free space'):
        logger.info('too much')
    logger.info('%d', 'no number')  # other errors of a line are printed, as Python does
    assert 'Logging error' in capsys.readouterr().err
    monkeypatch.undo()
    handler.close()


IMPORTS = """
import logging, pkgutil, signal, sys, warnings
import torch, numpy, matplotlib
import mmengine, mmcv, cv2
from mmengine.fileio.backends import registry_utils
from mmengine.runner.checkpoint import CheckpointLoader


def state():
    return dict(
        backends=(dict(registry_utils.backends), dict(registry_utils.prefix_to_backends)),
        loaders=dict(CheckpointLoader._schemes), filters=list(warnings.filters),
        hook=sys.excepthook, signals=[signal.getsignal(n) for n in signal.valid_signals()],
        handlers=list(logging.root.handlers), level=logging.root.level,
        threads=(torch.get_num_threads(), cv2.getNumThreads()),
        torch=(torch.get_default_dtype(), torch.get_float32_matmul_precision(),
               torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic,
               torch.is_grad_enabled(), torch.initial_seed() * 0, torch.hub.get_dir()),
        allowed=list(torch.serialization.get_safe_globals()), numpy=numpy.geterr(),
        matplotlib=dict(matplotlib.rcParams))


for name in sys.argv[1:]:  # what other packages change as they are imported is their own
    __import__(name)
before = state()
import mmvireid
for module in pkgutil.walk_packages(mmvireid.__path__, 'mmvireid.'):
    __import__(module.name)
after = state()
changed = [name for name in before if before[name] != after[name]]
assert not changed, [(name, before[name], after[name]) for name in changed]
"""


def test_importing_changes_nothing_outside():
    """All subpackages: what a run needs is set up by the run."""
    others = ('mmengine.runner', 'mmengine.hooks', 'mmengine.visualization', 'mmcv.transforms',
              'sklearn.cluster', 'sklearn.manifold', 'scipy.sparse', 'numba', 'rich.console',
              'torchvision', 'matplotlib.pyplot', 'matplotlib.backends.backend_agg', 'faiss')
    finished = subprocess.run(
        [sys.executable, '-c', IMPORTS, *others], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-3000:]


@pytest.mark.parametrize('tool', [True, False])
def test_packages_that_do_not_fit(tool, repo_root, tmp_path):
    """A tool ends with the sentence alone; elsewhere the error is raised."""
    site = tmp_path / 'site'
    (site / 'mmcv-2.1.0.dist-info').mkdir(parents=True)
    (site / 'mmcv-2.1.0.dist-info' / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: mmcv\nVersion: 2.1.0\n')
    words = ['tools/train.py', 'config.py'] if tool else ['-c', 'import mmvireid']
    finished = subprocess.run(
        [sys.executable, *words], cwd=repo_root, capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': f'{repo_root}:{site}'})
    assert finished.returncode == 1
    assert 'two families of OpenMMLab packages' in finished.stderr
    assert ('Traceback' in finished.stderr) is not tool
    assert not tool or finished.stderr.startswith('Error: ')


def test_a_notebook_of_another_environment(monkeypatch):
    """Its shell commands inherit the name of its backend, without which nothing is lost."""
    for name, kept in (('module://no_such_package.backend_inline', False),
                       ('module://no_such_module', False), ('agg', True),
                       ('module://matplotlib.backends.backend_svg', True)):
        monkeypatch.setenv('MPLBACKEND', name)
        drop_missing_plot_backend()
        assert os.environ.get('MPLBACKEND') == (name if kept else None)
