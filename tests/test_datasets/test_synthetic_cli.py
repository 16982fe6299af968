"""The generator as a user runs it."""

import runpy
import sys

import cv2
import pytest

from mmvireid.datasets.synthetic import Request, make_synthetic

SCRIPT = 'tools/dataset_converters/make_synthetic.py'


def test_writes_then_skips(run_tool, tmp_path):
    out = tmp_path / 'sysu'
    command = (SCRIPT, '--layout', 'sysu', '--ids', 5, '--test-ids', 2, '--images-per-camera', 2,
               '--size', 40, 20, '--out', out, '--workers', 2)
    first = run_tool(*command, '--sheet', tmp_path / 'sheet.png')
    assert 'written' in first.stdout
    assert 'Drawing pedestrians' in first.stderr
    assert cv2.imread(str(tmp_path / 'sheet.png')).shape[0] > 5 * 100
    stamps = {p: p.stat().st_mtime_ns for p in out.rglob('*')}
    second = run_tool(*command, '--quiet')
    assert 'already complete' in second.stdout
    assert second.stderr == ''
    assert {p: p.stat().st_mtime_ns for p in out.rglob('*')} == stamps


def test_a_folder_of_others_is_left_alone(run_tool, tmp_path):
    (tmp_path / 'thesis.txt').write_text('precious')
    result = run_tool(SCRIPT, '--layout', 'regdb', '--ids', 4, '--out', tmp_path, expect=1)
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


def test_ctrl_c_says_how_to_go_on(start_tool, tmp_path):
    out = tmp_path / 'sysu'
    process = start_tool(SCRIPT, '--layout', 'sysu', '--ids', 150, '--out', out, '--workers', 2,
                         '--quiet')
    process.wait(until=lambda: next(out.rglob('*.jpg'), None))
    process.press_ctrl_c()
    stopped = process.finish()
    assert stopped.returncode == 1, process.output()
    assert stopped.stderr == 'make_synthetic: stopped; run the same command again to finish.\n'
    assert '"complete": false' in (out / 'synthetic.json').read_text()
