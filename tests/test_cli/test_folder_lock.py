"""One run at a time in a folder."""

import multiprocessing
import os
import signal

import pytest

from mmvireid.cli.folder_lock import lock_work_dir
from mmvireid.utils.errors import WorkDirError

FORK = multiprocessing.get_context('fork')


def hold(folder, pipe):
    """Lock a folder, start a process as a data loader does, and wait to be killed."""
    lock_work_dir(folder)
    child = FORK.Process(target=signal.pause)
    child.start()
    pipe.send(child.pid)
    signal.pause()


def test_a_folder_belongs_to_one_process_as_long_as_it_lives(tmp_path):
    """A killed run leaves no lock behind, even while a child of it is still there."""
    pipe, end = FORK.Pipe()
    process = FORK.Process(target=hold, args=(tmp_path, end))
    process.start()
    child = pipe.recv()
    try:
        with pytest.raises(WorkDirError, match=f'process {process.pid} of .* is at work in'):
            lock_work_dir(tmp_path)
        process.kill()
        process.join()
        os.kill(child, 0)  # it lives
        lock_work_dir(tmp_path)
        lock_work_dir(tmp_path)  # it is ours already
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()


def test_only_the_first_of_several_processes_locks(tmp_path, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    lock_work_dir(tmp_path, 'pytorch')
    assert not (tmp_path / '.lock').exists()
    lock_work_dir(tmp_path, 'none')
    assert (tmp_path / '.lock').exists()


def test_what_killed_runs_were_writing_is_removed_under_the_lock(tmp_path):
    gone = ['.last_and_best.json.x1y2', '.clustering.json.ab_9', '.r.html.q', '.epoch_2.pth.x',
            '.last_checkpoint.k3', '20260101_000000/vis_data/.config.py.zz', 'pictures/.a.png.b1']
    kept = ['epoch_1.pth', '.notes', '.config.py.swp', 'last_checkpoint', '.results.json',
            'elsewhere/deep/er/.a.json.x', 'running/.lock', 'running/.epoch_3.pth.x']
    for name in gone + kept:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('')
    lock_work_dir(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*') if path.is_file()}
    assert left == {*kept, '.lock'}
