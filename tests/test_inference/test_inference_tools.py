"""The command lines of inference.

They run in this process, as their ``main``; the search also as a user runs it.
"""

import csv
import json
import os
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmvireid.apis import VIReIDInferencer
from mmvireid.cli.inference import print_results
from mmvireid.search import GalleryIndex
from mmvireid.structures import ImageSet, RetrievalResult

SEARCH = ('--gallery-modality', 'visible', '--query-modality', 'infrared')


@pytest.fixture
def tool(repo_root, monkeypatch, capsys):
    """Run a tool's main; give back its exit code and what it printed."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(repo_root / 'tools' / name), run_name='__main__')
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def sentence(outcome):
    code, printed = outcome
    lines = [line for line in printed.splitlines() if line.startswith('Error: ')]
    assert code == 1, printed
    assert len(lines) == 1, printed
    return lines[0]


def test_extract_features(tool, tiny_config, weights, footage, tmp_path, inferencer):
    wanted = inferencer.embed(footage / 'query.csv')
    code, printed = tool('extract_features.py', tiny_config, weights, footage / 'query.csv',
                         '--out', tmp_path / 'new' / 'all.npz', '--device', 'cpu')
    assert code == 0, printed
    assert '4 images: r2i (4, 64), i2r (4, 64), base (4, 64)' in printed
    with np.load(tmp_path / 'new' / 'all.npz') as found:
        for name, rows in wanted.descriptors.items():
            np.testing.assert_allclose(found[name], rows, atol=1e-6)
        assert found['path'].tolist() == wanted.img_path
        assert found['identity'].tolist() == wanted.identity.tolist()

    tool('extract_features.py', tiny_config, weights, footage / 'night', '--modality', 'infrared',
         '--out', tmp_path / 'one.csv', '--descriptor', 'i2r', '--device', 'cpu')
    with open(tmp_path / 'one.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['path'] for row in rows] == wanted.img_path
    assert {row['modality'] for row in rows} == {'infrared'}
    values = [[float(row[f'i2r_{i}']) for i in range(64)] for row in rows]
    np.testing.assert_allclose(values, wanted.descriptors['i2r'], atol=1e-6)

    tool('extract_features.py', tiny_config, weights, footage / 'query.csv', '--out',
         tmp_path / 'all.json', '--device', 'cpu')
    entries = json.loads((tmp_path / 'all.json').read_text())
    assert [entry['path'] for entry in entries] == wanted.img_path
    assert [entry['identity'] for entry in entries] == wanted.identity.tolist()
    for name, rows in wanted.descriptors.items():
        found = [entry['descriptors'][name] for entry in entries]
        np.testing.assert_allclose(found, rows, atol=1e-6)


def test_the_table_fits_into_a_terminal(monkeypatch, capsys):
    """Paths are not broken at 80 columns: what they share stands above them, once."""

    def images(*paths):
        num = len(paths)
        return ImageSet({}, np.full(num, -1), np.zeros(num, int), np.zeros(num, int),
                        np.arange(num), list(paths))

    monkeypatch.setattr('rich.console.Console.is_terminal', True)
    monkeypatch.setenv('TERM', 'dumb')  # without colours, 80 columns wide
    day = [f'/home/somebody/footage/of/2026/day/cam{i}/0001/000{i}.jpg' for i in (1, 2)]
    night = '/home/somebody/footage/of/2026/night/[cam3]/0001.jpg'
    print_results([
        RetrievalResult(images(night), images(*day), torch.tensor([[-1e-8, 0.25]]), 'base')])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = '\n'.join(lines)
    assert '1 query' in lines[0]
    for name in ('0001.jpg ', 'cam1/0001/0001.jpg', 'cam2/0001/0002.jpg', ' 0.0000 ', ' 0.2500 '):
        assert name in text
    assert '-0.0' not in text
    assert '[cam3]' in text
    assert len(lines) < 14
    # Paths that share no folder stay whole.
    print_results([RetrievalResult(images('a.jpg'), images('day/b.jpg'), torch.zeros(1, 1), 'x')])
    printed = capsys.readouterr().out
    assert ' a.jpg ' in printed
    assert 'match in day' in printed


@pytest.mark.slow
def test_search_as_a_user(run_tool, tiny_config, weights, footage, tmp_path, inferencer):
    process = run_tool(
        'tools/search.py', tiny_config, weights, footage / 'gallery.csv', footage / 'query.csv',
        '--top-k', 3, '--ranking', 'cift', '--device', 'cpu', '--out', tmp_path / 'found.json',
        tmp_path / 'found.csv', '--show-dir', tmp_path / 'pictures', '--max-pictures', 2)
    assert 'ranking "cift (whole gallery)", 6 images in the gallery' in process.stdout
    assert '4 queries' in process.stdout

    inferencer.index(footage / 'gallery.csv')
    wanted = inferencer.search(footage / 'query.csv', 3, ranking='cift')
    document = json.loads((tmp_path / 'found.json').read_text())
    assert document['ranking'] == 'cift'
    assert (document['uses'], document['transductive']) == (['gallery'], False)
    assert document['gallery_size'] == 6
    with open(tmp_path / 'found.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 12
    for number, (entry, result) in enumerate(zip(document['queries'], wanted, strict=True)):
        assert entry['query']['path'] == result.query.img_path[0]
        distances = [match['distance'] for match in entry['matches']]
        assert distances == pytest.approx(result.distance[0].tolist(), abs=1e-5)
        rows = lines[3 * number:3 * number + 3]
        assert [row['path'] for row in rows] == [match['path'] for match in entry['matches']]
        assert [float(row['distance']) for row in rows] == pytest.approx(distances, abs=1e-6)
        assert [row['rank'] for row in rows] == ['1', '2', '3']
    pictures = sorted((tmp_path / 'pictures').iterdir())
    assert [path.name for path in pictures] == ['00000_0.png', '00001_1.png']
    with Image.open(pictures[0]) as picture:
        assert picture.width > 500


def test_search_in_a_gallery_that_is_kept(tool, tiny_config, weights, footage, tmp_path):
    command = ['search.py', tiny_config, weights, footage / 'day', footage / 'night', *SEARCH,
               '--index', tmp_path / 'index', '--device', 'cpu', '--out']
    code, printed = tool(*command, tmp_path / 'first.json')
    assert code == 0, printed
    code, printed = tool(*command, tmp_path / 'second.json')
    assert 'is not read again' in printed
    first, second = (json.loads((tmp_path / f'{name}.json').read_text())
                     for name in ('first', 'second'))
    assert first['queries'] == second['queries']
    assert [(d['gallery_size'], d['gallery_new'], d['gallery_missing'])
            for d in (first, second)] == [(6, 0, 0)] * 2
    assert len(first['queries'][0]['matches']) == 6
    assert 'needs the whole gallery in memory' in sentence(
        tool(*command, tmp_path / 'third.json', '--ranking', 'cift'))

    command[5:5] = ['--index-kind', 'hnsw']
    command[command.index('--index') + 1] = tmp_path / 'graph'
    code, printed = tool(*command, tmp_path / 'fourth.json')
    assert code == 0, printed
    assert GalleryIndex.load(tmp_path / 'graph').kind == 'hnsw'


def test_a_gallery_that_has_changed_since(tool, tiny_config, weights, footage, tmp_path,
                                          monkeypatch):
    """Made from one folder with relative paths, used from another, with pictures."""
    shutil.copytree(footage / 'day', tmp_path / 'day')
    monkeypatch.chdir(tmp_path)
    rest = [footage / 'night' / '0.png', *SEARCH, '--device', 'cpu', '--index']
    code, printed = tool('search.py', tiny_config, weights, 'day', *rest, 'index')
    assert code == 0, printed

    (tmp_path / 'other').mkdir()
    monkeypatch.chdir(tmp_path / 'other')
    (tmp_path / 'day' / '0.png').unlink()
    for name in ('new.png', 'newer.png'):
        shutil.copy(footage / 'day' / '1.png', tmp_path / 'day' / name)
    (tmp_path / 'day' / 'again').symlink_to('.')
    code, printed = tool('search.py', tiny_config, weights, '../day', *rest, '../index', '--out',
                         'found.json', '--show-dir', 'pictures')
    assert code == 0, printed
    assert 'has changed since: 2 new images, which cannot be found, and 1 that are gone' in printed
    document = json.loads(Path('found.json').read_text())
    assert document['gallery_size'] == 6
    assert (document['gallery_new'], document['gallery_missing']) == (2, 1)
    matches = document['queries'][0]['matches']
    assert {match['path'] for match in matches} == {
        str(tmp_path / 'day' / f'{i}.png') for i in range(6)}
    with Image.open('pictures/00000_0.png') as picture:  # with an empty frame for 0.png
        assert picture.width > 500

    shutil.rmtree(tmp_path / 'day')
    code, printed = tool('search.py', tiny_config, weights, '../day', *rest, '../index', '--out',
                         'found.json')
    assert 'nothing to compare the index with' in printed
    assert json.loads(Path('found.json').read_text())['gallery_new'] is None


def test_names_that_are_hard_to_write(tool, tiny_config, weights, footage, tmp_path):
    """Bytes that are no UTF-8, and as many as a file system takes."""
    (tmp_path / 'q').mkdir()
    odd = os.fsencode(tmp_path / 'q') + b'/caf\xe9.png'
    long = tmp_path / 'q' / f'{248 * "n"}.png'
    for path in (odd, long):
        shutil.copy(footage / 'night' / '0.png', path)
    out = [tmp_path / f'found.{kind}' for kind in ('json', 'csv')]
    code, printed = tool(
        'search.py', tiny_config, weights, footage / 'day', tmp_path / 'q', *SEARCH, '--device',
        'cpu', '--out', *out, '--show-dir', tmp_path / 'pictures')
    assert code == 0, printed
    name = str(tmp_path / 'q') + '/caf\\xe9.png'
    assert [entry['query']['path'] for entry in json.loads(out[0].read_text())['queries']] == [
        name, str(long)]
    assert f'{name},1,' in out[1].read_text(encoding='utf-8')
    pictures = sorted(path.name for path in (tmp_path / 'pictures').iterdir())
    assert pictures == ['00000_caf.png', f'00001_{200 * "n"}.png']
    for kind in ('npz', 'json', 'csv'):
        code, printed = tool(
            'extract_features.py', tiny_config, weights, os.fsdecode(odd), '--modality',
            'infrared', '--device', 'cpu', '--out', tmp_path / f'one.{kind}')
        assert code == 0, printed
    with np.load(tmp_path / 'one.npz') as found:
        assert found['path'].tolist() == [name]
    assert json.loads((tmp_path / 'one.json').read_text())[0]['path'] == name
    assert name in (tmp_path / 'one.csv').read_text(encoding='utf-8')


def test_what_cannot_be_searched(tool, tiny_config, weights, footage, tmp_path):
    command = ['search.py', tiny_config, weights, footage / 'day', footage / 'night']
    assert 'night" is visible or infrared: add --query-modality' in sentence(tool(*command))
    assert 'day" is visible or infrared: add --gallery-modality' in sentence(
        tool(*command, '--query-modality', 'infrared'))
    assert 'day" is visible or infrared: add --modality' in sentence(
        tool('extract_features.py', *command[1:4], '--out', tmp_path / 'a.npz'))
    assert 'should end in .json or .csv' in sentence(
        tool(*command, *SEARCH, '--out', tmp_path / 'found.txt'))
    (tmp_path / 'empty').mkdir()
    command[3] = tmp_path / 'empty'
    assert 'holds no image' in sentence(tool(*command, *SEARCH))
    assert 'did you mean' in sentence(tool('search.py', 'cift_r50_sysu', *command[2:], *SEARCH))
    assert 'gives no descriptor "x"' in sentence(
        tool('extract_features.py', tiny_config, weights, footage / 'query.csv', '--out',
             tmp_path / 'a.csv', '--descriptor', 'x'))


def test_publish_and_use(tool, tiny_config, weights, footage, tmp_path):
    code, printed = tool('model_converters/publish_model.py', tiny_config, weights, '--out',
                         tmp_path / 'new')
    assert code == 0, printed
    assert 'No metrics are inside' in printed
    path, = (tmp_path / 'new').iterdir()
    assert str(path) in printed
    found, wanted = (VIReIDInferencer(tiny_config, file, 'cpu').extract(footage / 'day', 'visible')
                     for file in (path, weights))
    torch.testing.assert_close(found, wanted)


def test_export(tool, tiny_config, weights, tmp_path, monkeypatch):
    """The export itself is tested apart; here is what the command line makes of it."""
    from mmvireid.inference import onnx_export
    calls = []
    monkeypatch.setattr(onnx_export, 'export_onnx',
                        lambda *args, **options: calls.append(options) or {'base': 1.5e-7})
    out = tmp_path / 'new' / 'model.onnx'
    code, printed = tool('deployment/export_onnx.py', tiny_config, weights, '--out', out,
                         '--modality', 'visible')
    assert code == 0, printed
    assert 'base: largest difference from PyTorch 1.50e-07' in printed
    assert calls == [dict(modality='visible', tolerance=1e-3)]
    assert 'should end in .onnx' in sentence(
        tool('deployment/export_onnx.py', tiny_config, weights, '--out', tmp_path / 'model'))
