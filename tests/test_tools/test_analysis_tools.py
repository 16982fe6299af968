"""Tables, comparisons, logs, counts: each tool as its main, on small results made by hand."""

import csv
import json
import runpy
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from mmvireid.evaluation import SYSUMetric, summarize
from mmvireid.evaluation.query_file import read_query_file


@pytest.fixture
def tool(repo_root, monkeypatch, capsys):
    """Run a tool's main; give back what it printed."""

    def run(name, *arguments, fails=False):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        path = str(repo_root / 'tools' / name)
        capsys.readouterr()  # what earlier steps of the test have logged is not the tool's
        if not fails:
            runpy.run_path(path, run_name='__main__')
            return capsys.readouterr().out
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(path, run_name='__main__')
        assert stop.value.code == 1
        error = capsys.readouterr().err.strip()
        assert error.startswith('Error: ')
        return error

    return run


# ----------------------------------------------------------------- summarize_trials
def write_results(path, *, setting='all_single', seed=0, trials=3, rankings=('base', 'cift')):
    rng = np.random.default_rng(seed)
    document = []
    for ranking in rankings:
        scores = {f'{t}': dict(R1=rng.uniform(0, 100), mAP=rng.uniform(0, 100))
                  for t in range(trials)}
        document.append(dict(dataset='sysu', setting=setting, ranking=ranking, num_queries=9,
                             trials=scores, summary=summarize(list(scores.values()))))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return {entry['ranking']: entry['summary'] for entry in document}


def test_results_of_methods_become_one_table(tool, tmp_path):
    agw = write_results(tmp_path / 'agw' / 'results.json', rankings=['base'])
    cift = write_results(tmp_path / 'cift' / 'results.json', seed=1)
    printed = tool('analysis_tools/summarize_trials.py', tmp_path / 'agw', tmp_path / 'cift',
                   '--format', 'markdown', '--metrics', 'mAP', 'R1')
    lines = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in printed.splitlines() if line.startswith('|')]
    assert lines[0] == ['', 'mAP', 'Rank-1']
    expected = {'agw': agw['base'], 'cift, base': cift['base'], 'cift, cift': cift['cift']}
    assert {row[0] for row in lines[2:]} == set(expected)
    for name, *cells in lines[2:]:
        row = expected[name]
        assert cells == [f'{row[m]:.2f} ± {row[m + "_std"]:.2f}' for m in ('mAP', 'R1')]
    assert 'agw over 3 random galleries of one model' in printed
    write_results(tmp_path / 'llcm' / 'results.json', setting='v2i', rankings=['base'])
    printed = tool('analysis_tools/summarize_trials.py', tmp_path / 'agw', tmp_path / 'llcm')
    assert [line for line in printed.splitlines() if '±' in line and 'over' in line] == [
        f'± of {name} over 3 random galleries of one model.' for name in ('agw', 'llcm')]


def test_latex_marks_the_best_of_each_column(tool, tmp_path):
    rows = {name: dict(R1=r1, R1_std=0.5, mAP=m) for name, r1, m in (
        ('a_1', 61.004, 50.0), ('b', 61.0, 52.5), ('c', 60.0, 40.0))}
    (tmp_path / 'summary.json').write_text(json.dumps(
        dict(trials=[1, 2], summary={'regdb v2t': rows})))
    out = tmp_path / 'table.tex'
    printed = tool('analysis_tools/summarize_trials.py', tmp_path, '--names', 'X&Y', '--format',
                   'latex', '--out', out)
    assert out.read_text() == printed
    assert r'\begin{tabular}{lrr}' in printed
    assert r' & Rank-1 & mAP \\' in printed
    # Equal in what is printed is equal.
    assert r'X\&Y, a\_1 & $\mathbf{61.00} \pm 0.50$ & $50.00$ \\' in printed
    assert r'X\&Y, b & $\mathbf{61.00} \pm 0.50$ & $\mathbf{52.50}$ \\' in printed
    assert '% ± of X&Y over 2 trained models.' in printed


def test_what_cannot_be_summarised_is_one_sentence(tool, tmp_path):
    name = 'analysis_tools/summarize_trials.py'
    assert 'holds no results' in tool(name, tmp_path, fails=True)
    write_results(tmp_path / 'results.json')
    assert 'no metric "R5"; the results have R1, mAP' in tool(
        name, tmp_path, '--metrics', 'R5', fails=True)
    assert '1 results need 1 names, not 2' in tool(
        name, tmp_path, '--names', 'a', 'b', fails=True)
    assert 'no result has the settings' in tool(
        name, tmp_path, '--settings', 'outdoor', fails=True)
    (tmp_path / 'results.json').write_text('[{"a": 1}]')
    assert 'is not what tools/test.py --out' in tool(name, tmp_path, fails=True)


# --------------------------------------------------------------------- compare_runs
def draw_test_set(root, noise, seed):
    """Dump the queries of a small test set, as tools/test.py --dump-queries does."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 8))
    rng = np.random.default_rng(seed)
    samples = []
    for camera in (1, 2, 3, 4, 5, 6):
        for identity in range(6):
            for number in range(3):
                row = centres[identity] + noise * rng.normal(size=8)
                samples.append(dict(
                    img_path=f'{root}/cam{camera}/{identity}/{number}.jpg', identity=identity,
                    camera=camera, modality=int(camera in (3, 6)), sample_idx=len(samples),
                    descriptors=dict(base=torch.tensor(row / np.linalg.norm(row)).float())))
    return samples


def dump(path, root, noise, seed=1):
    metric = SYSUMetric(settings='all_single', num_trials=3, queries_file=str(path))
    metric.process(None, draw_test_set(root, noise, seed))
    return metric, metric.evaluate(108)


def test_the_queries_of_a_test_are_kept(tmp_path):
    metric, numbers = dump(tmp_path / 'a.json', '/data/a', 1.0)
    document = read_query_file(tmp_path / 'a.json')
    assert [r['trial'] for r in document['results']] == ['0', '1', '2']
    means = [np.mean(r['average_precision']) for r in document['results']]
    assert 100 * np.mean(means) == pytest.approx(numbers['sysu/all_single/base/mAP'], abs=1e-3)
    first = [np.mean(np.array(r['first_match_rank']) == 1) for r in document['results']]
    assert 100 * np.mean(first) == pytest.approx(numbers['sysu/all_single/base/R1'])
    rows = document['results'][0]['query']
    assert {document['images']['camera'][row] for row in rows} == {3, 6}
    assert set(metric.details) == {('all_single', 'base')}


def test_two_tests_are_compared_query_by_query(tool, tmp_path):
    _, before = dump(tmp_path / 'a.json', '/data/a', 2.0)
    _, after = dump(tmp_path / 'b.json', '/mnt/elsewhere', 0.5, seed=2)
    printed = tool('analysis_tools/compare_runs.py', tmp_path / 'a.json', tmp_path / 'b.json',
                   '--csv', tmp_path / 'diff.csv', '--top', 3)
    assert '36 queries of 6 people' in printed
    key = 'sysu/all_single/base/'
    for name, metric in (('Rank-1', 'R1'), ('mAP', 'mAP')):
        line = next(line for line in printed.splitlines() if line.startswith(name))
        assert f'{before[key + metric]:.2f} ->' in line
        assert f'{after[key + metric]:.2f} %' in line
        difference = after[key + metric] - before[key + metric]
        assert f'difference {difference:+.2f}' in line
        low, high = (float(word) for word in line.split('interval ')[1].split(' to '))
        assert 0 < low <= difference <= high
    assert 'camera 3: mAP' in printed
    with open(tmp_path / 'diff.csv') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    changes = [float(row['difference']) for row in rows]
    assert changes == sorted(changes)
    better = printed.split('became better:\n')[1].splitlines()[:3]
    assert [line.split()[0] for line in better] == [row['path'] for row in rows[::-1][:3]]
    # Folders that all paths share do not matter.
    assert rows[0]['path'].startswith('cam')

    same = tool('analysis_tools/compare_runs.py', tmp_path / 'a.json', tmp_path / 'a.json')
    assert '0 queries better, 0 worse, 36 equal' in same
    assert 'became worse' not in same
    assert 'became better' not in same


def test_what_cannot_be_compared_is_one_sentence(tool, tmp_path):
    name = 'analysis_tools/compare_runs.py'
    dump(tmp_path / 'a.json', '/data/a', 1.0)
    document = json.loads((tmp_path / 'a.json').read_text())
    assert 'there is no file' in tool(name, tmp_path / 'a.json', tmp_path / 'no.json', fails=True)
    (tmp_path / 'b.json').write_text('[]')
    assert 'does not hold the queries' in tool(
        name, tmp_path / 'a.json', tmp_path / 'b.json', fails=True)
    assert 'has no all_single/cift; it has all_single/base' in tool(
        name, tmp_path / 'a.json', tmp_path / 'a.json', '--ranking', 'cift', fails=True)
    document['images']['path'] = [f'x{path}.png' for path in document['images']['path']]
    (tmp_path / 'b.json').write_text(json.dumps(document))
    assert 'no query in common' in tool(
        name, tmp_path / 'a.json', tmp_path / 'b.json', fails=True)


# --------------------------------------------------------------------- analyze_logs
def write_log(folder, stamp, steps, epochs, offset=0.0):
    rows = [dict(lr=0.1, loss=100.0 - step + offset, time=0.5 + step / 1000, data_time=0.1,
                 epoch=step // 10, iter=step, step=step) for step in steps]
    rows += [{'sysu/all_single/cift/mAP': 10.0 * e + offset, 'step': e} for e in epochs]
    path = folder / stamp / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, rows)) + '\n')


def test_logs_of_a_resumed_run_are_joined(tool, repo_root, tmp_path):
    write_log(tmp_path, '2026_1', (10, 20, 30), (1, 2, 3))
    write_log(tmp_path, '2026_2', (30, 40), (3, 4), offset=0.5)
    module = runpy.run_path(str(repo_root / 'tools/analysis_tools/analyze_logs.py'))
    rows = module['read_log'](tmp_path)
    (x, y, unit), = module['find_curves'](rows, 'loss').values()
    assert (x, y, unit) == ([10, 20, 30, 40], [90, 80, 70.5, 60.5], 'iteration')
    (name, (x, y, unit)), = module['find_curves'](rows, 'cift/mAP').items()
    assert name == 'sysu/all_single/cift/mAP'
    assert (x, y, unit) == ([1, 2, 3, 4], [10, 20, 30.5, 40.5], 'epoch')

    out = tmp_path / 'new' / 'curves.png'
    tool('analysis_tools/analyze_logs.py', 'plot_curve', tmp_path, '--keys', 'loss', 'mAP',
         '--out', out)
    with Image.open(out) as picture:
        assert picture.width > 2 * picture.height
    printed = tool('analysis_tools/analyze_logs.py', 'cal_train_time', tmp_path)
    assert 'slowest epoch 4: 0.5400 s' in printed
    assert '40 iterations: 21 s of training' in printed

    # A killed run leaves half a line.
    log = next(tmp_path.glob('*/vis_data/scalars.json'))
    log.write_text(log.read_text() + '{"lr": 0.1, "st')
    assert tool('analysis_tools/analyze_logs.py', 'cal_train_time', tmp_path) == printed


def test_logs_that_lack_something_are_one_sentence(tool, tmp_path):
    name = 'analysis_tools/analyze_logs.py'
    assert 'holds no log' in tool(name, 'plot_curve', tmp_path, fails=True)
    write_log(tmp_path, 'a', (10, 20), ())
    assert 'no log has "mAP"; they have data_time, loss, lr, time' in tool(
        name, 'plot_curve', tmp_path, '--out', tmp_path / 'x.png', fails=True)
    (tmp_path / 'b.json').write_text('{"lr": 1}')
    assert 'holds no log' in tool(name, 'cal_train_time', tmp_path / 'b.json', fails=True)


# ----------------------------------------------------------- counts, speed, config
def test_counted_multiplications_are_those_of_the_layers(tool, tiny_config, tmp_path):
    printed = tool('analysis_tools/get_flops.py', tiny_config)
    small = tool('analysis_tools/get_flops.py', tiny_config, '--shape', 96, 48)

    def giga(text, modality):
        line = next(line for line in text.splitlines() if line.startswith(f'{modality}:'))
        return float(line.split()[1])

    assert giga(printed, 'visible') == giga(printed, 'infrared') > 0
    # Four times the pixels, four times the convolutions.
    assert giga(small, 'visible') == pytest.approx(
        4 * giga(printed, 'visible'), rel=0.15, abs=2e-3)
    assert 'one image of 48 x 24' in printed


def test_speed_and_memory_are_written(tool, tiny_config, tmp_path):
    for task, size in (('inference', 4), ('dataloader', 16)):
        out = tmp_path / f'{task}.json'
        tool('analysis_tools/benchmark.py', tiny_config, '--task', task, '--batch-size', 4,
             '--warmup', 1, '--batches', 2, '--repeat', 2, '--out', out)
        numbers = json.loads(out.read_text())
        assert numbers['batch_size'] == size
        assert len(numbers['images_per_second']) == 2
        assert min(numbers['images_per_second']) > 0
        assert numbers['memory_mb'] > 10


def test_a_config_is_printed_as_it_is_used(tool, repo_root, tmp_path):
    config = repo_root / 'configs/cift/cift_r50_120e_sysu.py'
    saved = tmp_path / 'whole.py'
    name = 'misc/print_config.py'
    printed = tool(name, config, '--save-path', saved, '--cfg-options', 'randomness.seed=7')
    assert '_base_' not in printed
    scope = {}
    exec(saved.read_text(), scope)
    assert scope['randomness'] == dict(seed=7)
    assert scope['model']['head']['num_classes'] == 395
    part = tool(name, config, '--key', 'model.head')
    assert part.startswith('head = dict(')
    assert 'backbone' not in part
    assert 'there is no "neckk"' in tool(name, config, '--key', 'model.neckk', fails=True)
