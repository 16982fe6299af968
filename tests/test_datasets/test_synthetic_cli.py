"""The generator as a user runs it."""

import os
import runpy
import signal
import subprocess
import sys
import time

import cv2
import pytest

from mmvireid.datasets.synthetic import Request, make_synthetic

SCRIPT = 'tools/dataset_converters/make_synthetic.py'


@pytest.fixture
def run(repo_root):
    def call(*arguments):
        return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], cwd=repo_root,
                              capture_output=True, text=True, check=False)
    return call


def test_writes_then_skips(run, tmp_path):
    out = tmp_path / 'sysu'
    command = ('--layout', 'sysu', '--ids', 5, '--test-ids', 2, '--images-per-camera', 2,
               '--size', 40, 20, '--out', out, '--workers', 2)
    first = run(*command, '--sheet', tmp_path / 'sheet.png')
    assert first.returncode == 0, first.stderr
    assert 'written' in first.stdout
    assert 'Drawing pedestrians' in first.stderr
    assert cv2.imread(str(tmp_path / 'sheet.png')).shape[0] > 5 * 100
    stamps = {p: p.stat().st_mtime_ns for p in out.rglob('*')}
    second = run(*command, '--quiet')
    assert second.returncode == 0
    assert 'already complete' in second.stdout
    assert second.stderr == ''
    assert {p: p.stat().st_mtime_ns for p in out.rglob('*')} == stamps


def test_a_folder_of_others_is_left_alone(run, tmp_path):
    (tmp_path / 'thesis.txt').write_text('precious')
    result = run('--layout', 'regdb', '--ids', 4, '--out', tmp_path)
    assert result.returncode == 1
    assert result.stderr.count('\n') == 1
    assert 'is not empty and holds no synthetic.json' in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.txt']


@pytest.mark.parametrize(('extra', 'message'), [
    (('--test-ids', 6), 'leave 2 on either side'),
    (('--blur', -1), 'blur must not be negative'),
    (('--workers', 0), 'workers must be at least 1'),
    (('--images-per-camera', 3), 'holds another synthetic dataset'),
])
def test_bad_values_give_one_sentence(repo_root, tmp_path, monkeypatch, extra, message):
    # In this process: importing the toolbox anew for each would take most of the time.
    out = tmp_path / 'sysu'
    if 'another' in message:
        make_synthetic(Request('sysu', 6, images_per_camera=1, size=(32, 32)), out, quiet=True)
    before = sorted(tmp_path.rglob('*'))
    monkeypatch.setattr(sys, 'argv', [SCRIPT, '--layout', 'sysu', '--ids', '6', '--size', '32',
                                      '32', '--out', str(out), *map(str, extra)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(repo_root / SCRIPT), run_name='__main__')
    assert stop.value.code.startswith('make_synthetic: ')
    assert message in stop.value.code
    assert '\n' not in stop.value.code
    assert sorted(tmp_path.rglob('*')) == before


def test_ctrl_c_says_how_to_go_on(repo_root, tmp_path):
    out = tmp_path / 'sysu'
    process = subprocess.Popen(
        [sys.executable, SCRIPT, '--layout', 'sysu', '--ids', '200', '--out', str(out),
         '--workers', '2', '--quiet'], cwd=repo_root, stderr=subprocess.PIPE, text=True,
        start_new_session=True)
    deadline = time.monotonic() + 120
    while not next(out.rglob('*.jpg'), None):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    # As a terminal does: to the command and to its workers.
    os.killpg(process.pid, signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert stderr == 'make_synthetic: stopped; run the same command again to finish.\n'
    assert '"complete": false' in (out / 'synthetic.json').read_text()
