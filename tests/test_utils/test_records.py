"""Records that a killed run has left."""

import json

import pytest

from mmvireid.utils.errors import RecordError
from mmvireid.utils.records import read_record, read_record_if_complete, read_record_lines


def test_lines_that_are_not_complete_are_left_out(tmp_path, capsys):
    path = tmp_path / 'scalars.json'
    rows = [dict(step=1, loss=2.5), dict(step=2, loss=float('nan'))]
    path.write_text('\n'.join(map(json.dumps, rows)) + '\n{"step": 3, "lo')
    assert [row['step'] for row in read_record_lines(path)] == [1, 2]
    assert 'Warning: line 3 of' in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-12] + b'\xff\x00\n7\n' + b'{"step": 4}\n')
    assert [row['step'] for row in read_record_lines(path)] == [1, 2, 4]


def test_a_run_that_has_just_begun(tmp_path):
    path = tmp_path / 'scalars.json'
    for text in ('{"st', '', '\n'):
        path.write_text(text)
        assert read_record_lines(path) == []


def test_half_a_file(tmp_path, capsys):
    path = tmp_path / 'results.json'
    assert read_record_if_complete(path) is None
    assert capsys.readouterr().err == ''
    path.write_text('[{"a": 1}]')
    assert read_record_if_complete(path) == read_record(path) == [dict(a=1)]
    path.write_text('[{"a": 1')
    assert read_record_if_complete(path) is None
    assert f'Warning: "{path}" is not read' in capsys.readouterr().err
    with pytest.raises(RecordError, match='delete it'):
        read_record(path)
