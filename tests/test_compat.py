"""Engine families, launches without a GPU, whole-file writes."""

import errno
import os

import pytest

from mmvireid.compat import (
    ENGINE_FAMILY,
    check_engine_family,
    prepare_cpu_launch,
    use_atomic_writes,
    write_atomically,
)
from mmvireid.utils.errors import EnvironmentMismatchError, WorkDirError

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


def test_mmengine_writes_through_the_atomic_backend(tmp_path, monkeypatch):
    from mmengine.fileio import get_file_backend
    use_atomic_writes()
    backend = get_file_backend(str(tmp_path / 'x'))
    backend.put(b'good', tmp_path / 'x')

    def interrupted(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend.put(b'half', tmp_path / 'x')
    assert (tmp_path / 'x').read_bytes() == b'good'


def test_a_full_disk_is_one_sentence_and_the_old_checkpoint_stays(tmp_path, monkeypatch):
    from mmengine.runner import save_checkpoint
    save_checkpoint({'epoch': 1}, str(tmp_path / 'epoch_1.pth'))
    before = (tmp_path / 'epoch_1.pth').read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(WorkDirError, match='No space left on device.* continue with --resume'):
        save_checkpoint({'epoch': 2}, str(tmp_path / 'epoch_2.pth'))
    assert [path.name for path in tmp_path.iterdir()] == ['epoch_1.pth']
    assert (tmp_path / 'epoch_1.pth').read_bytes() == before
