"""The HTML report: what it says is what the metric found, and it works in a browser."""

import html
import json
import re
import runpy
import shutil
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmvireid.evaluation import CosineScorer, Ranking, RegDBMetric, SYSUMetric, rank_metrics
from mmvireid.registry import MODELS
from mmvireid.utils.errors import DatasetError, EvaluationError
from mmvireid.visualization.report import collect_report, encode_thumbnails, render_report
from mmvireid.visualization.report.distances import distance_panels

BROWSER = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'))), None)
VISIBLE, INFRARED = (1, 2, 4, 5), (3, 6)
RANKINGS = dict(
    base=dict(descriptor='base'),
    k_reciprocal=dict(
        descriptor='base', post=[dict(type='mmvireid.KReciprocalReRanking', k1=5, k2=2)]))


def draw_test_set(folder, num_ids, per_camera, dim=16, noise=1.0, seed=0):
    """Give predicted samples with pictures; some pictures are links to others."""
    rng = np.random.default_rng(seed)
    files = []
    for i in range(24):
        files.append(folder / f'noise{i}.jpg')
        pixels = rng.integers(0, 255, (72, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(files[-1], quality=90)
    centres = rng.normal(size=(num_ids, dim))
    samples = []
    for camera in (*VISIBLE, *INFRARED):
        for identity in range(num_ids):
            for number in range(per_camera(camera, identity)):
                path = folder / f'cam{camera}' / f'{identity:04d}' / f'{number:04d}.jpg'
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(files[len(samples) % len(files)])
                row = centres[identity] + noise * rng.normal(size=dim)
                samples.append(dict(
                    img_path=str(path), identity=identity, camera=camera, label=-1,
                    modality=int(camera in INFRARED), sample_idx=len(samples),
                    descriptors=dict(
                        base=torch.from_numpy(row / np.linalg.norm(row)).float())))
    return samples


def evaluated(metric, samples):
    metric.process(None, samples)
    metric.evaluate(len(samples))
    return metric


def embedded(page, name):
    """Read the JSON that a page holds."""
    text = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)[1]
    return json.loads(text)


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    samples = draw_test_set(
        tmp_path_factory.mktemp('small'), num_ids=7, per_camera=lambda *_: 3, noise=1.5)
    return evaluated(
        SYSUMetric(settings=['all_single', 'indoor_single'], num_trials=3, rankings=RANKINGS),
        samples)


@pytest.fixture(scope='module')
def large(tmp_path_factory):
    """The size of SYSU-MM01: 3,803 infrared queries, 301 visible images, 96 people."""

    def per_camera(camera, identity):
        if camera in INFRARED:
            return 19 + (identity < (78 if camera == 3 else 77))
        return int(camera != 5 or identity < 13)

    samples = draw_test_set(tmp_path_factory.mktemp('large'), 96, per_camera, noise=1.2)
    metric = SYSUMetric(settings='all_single', num_trials=1, rankings=dict(base={}, other={}))
    metric.rankings['other'] = Ranking('other', CosineScorer(), [
        lambda result: result.with_distance(
            result.distance**2 + 0.3 * torch.sin(50 * result.distance))])
    evaluated(metric, samples)
    data, paths = collect_report(metric, map_identities=3)
    return data, paths, render_report(data, paths, title='large', notes=['a <note>'])


def test_what_is_shown_is_what_the_metric_found(small):
    data, _ = collect_report(small, explore=['all_single', 'indoor_single'], topk=6)
    people, cameras = (np.array(data['images'][k]) for k in ('identity', 'camera'))
    for view in data['views']:
        for name, shown in view['rankings'].items():
            result = small.first_result(view['setting'], name)
            expected = rank_metrics(
                result.distance, result.query.identity, result.gallery.identity,
                result.query.camera, result.gallery.camera, protocol='sysu')
            assert shown['rank'] == expected.first_match_rank.tolist()
            for i, query in enumerate(view['query']):
                assert people[query] == result.query.identity[i]
                assert shown['distance'][i] == sorted(shown['distance'][i])
                right = people[shown['near'][i]] == people[query]
                assert right[0] == (shown['rank'][i] == 1)
                # The protocol hides camera 2 from camera 3.
                assert cameras[query] != 3 or 2 not in cameras[shown['near'][i]]
                if shown['rank'][i]:
                    assert people[shown['match'][i]] == people[query]
                    assert shown['ap'][i] == round(1000 * expected.average_precision[i])
                    position = shown['match_at'][i] - 1
                    if position < 6:
                        assert right.argmax() == position
                        assert shown['near'][i][position] == shown['match'][i]
                    else:
                        assert not right.any()
                else:
                    assert shown['match'][i] == shown['ap'][i] == -1


def test_numbers_are_those_of_the_evaluation(small):
    data, _ = collect_report(small)
    reported = small.compute_metrics(small.images)
    for table in data['tables']:
        for ranking, row in table['rows'].items():
            for metric, value in row['summary'].items():
                assert value == reported[f'{table["setting"]}/{ranking}/{metric}']
            assert len(row['trials']) == 3
            assert row['cmc'][0] == pytest.approx(row['summary']['R1'], abs=1e-3)
            assert row['cmc'] == sorted(row['cmc'])


def test_distances_are_counted_pair_by_pair(small):
    result = small.first_result('all_single', 'base')
    across, visible, infrared = distance_panels(result, small.images, num_bins=20)
    same = result.query.identity[:, None] == result.gallery.identity
    distance = result.distance.numpy()
    near, far = distance[same], distance[~same]
    assert across['pairs'] == [len(near), len(far)]
    assert across['order'] == pytest.approx(
        100 * (near[:, None] < far[None]).mean(), abs=0.3)
    assert sum(across['same']) == pytest.approx(100, abs=0.1)
    edges = np.linspace(*across['range'], 21)
    expected = 100 * np.histogram(near, edges)[0] / len(near)
    np.testing.assert_allclose(across['same'], expected, atol=100 * 2 / len(near))
    for panel, modality in ((visible, 0), (infrared, 1)):
        ids = small.images.identity[small.images.modality == modality]
        pairs = [(a, b) for i, a in enumerate(ids) for b in ids[:i]]
        assert panel['pairs'] == [sum(a == b for a, b in pairs), sum(a != b for a, b in pairs)]
    assert [p['name'] for p in (across, visible, infrared)] == [
        'across modalities', 'within visible', 'within infrared']


def test_a_page_needs_no_network_and_holds_each_image_once(small):
    data, paths = collect_report(small, topk=4)
    data['dataset'] = '</script><!--'
    page = render_report(data, paths, title='</script><b>', notes=['x'])
    assert 'http:' not in page
    assert 'https:' not in page
    assert not re.search(r'<link|@import|url\(|<iframe|fetch\(|XMLHttpRequest', page)
    assert '</script><b>' not in page
    assert html.escape('</script><b>') in page
    assert len(set(paths)) == len(paths) == len(embedded(page, 'thumbnails')['images'])
    assert embedded(page, 'data') == json.loads(json.dumps(data))
    shown = {i for view in data['views'] for i in view['query']} | set(data['map']['image'])
    for view in data['views']:
        for one in view['rankings'].values():
            shown.update(*one['near'], [i for i in one['match'] if i >= 0])
    assert shown == set(range(len(paths)))
    # Folders that all paths share are left out.
    assert all(path.startswith('cam') for path in data['images']['path'])


def test_unusable_requests_are_one_sentence(small, tmp_path):
    with pytest.raises(EvaluationError, match='cannot explore outdoor'):
        collect_report(small, explore=['outdoor'])
    with pytest.raises(EvaluationError, match='has evaluated a test set'):
        collect_report(RegDBMetric())
    with pytest.raises(EvaluationError, match='do not fit into'):
        encode_thumbnails([small.images.img_path[0]] * 9, 2000)
    (tmp_path / 'text.jpg').write_text('no image')
    with pytest.raises(DatasetError, match='is not an image file'):
        encode_thumbnails([str(tmp_path / 'text.jpg')], 10_000)


def test_thumbnails_become_smaller_where_there_is_less_room(small):
    paths = small.images.img_path[:12]
    heights = []
    for room in (400_000, 40_000, 15_000):
        thumbnails = encode_thumbnails(paths, room)
        assert thumbnails.num_bytes <= room
        heights.append(thumbnails.height)
    assert heights == sorted(heights, reverse=True)
    assert heights[0] == 192 > heights[-1]


def test_a_report_of_3803_queries_is_below_20_megabytes(large):
    data, paths, page = large
    view, = data['views']
    assert (len(view['query']), data['tables'][0]['num_gallery']) == (3803, 301)
    assert len(page.encode()) < 20_000_000
    # The room is used: noise is the worst case, and it is shown at a readable size.
    assert embedded(page, 'thumbnails')['height'] >= 80
    assert 'a &lt;note&gt;' in page


LISTEN = """<script>
window.problems = [];
window.onerror = message => problems.push(String(message));
console.error = console.warn = (...words) => problems.push(words.join(' '));
</script>"""
USE = """<script>
addEventListener('load', () => setTimeout(() => {
  const seen = {};
  const look = name => { seen[name] = {count: Number($('count').dataset.count),
    rows: document.querySelectorAll('.row').length, hash: location.hash,
    first: document.querySelector('.row')?.textContent.replace(/\\s+/g, ' ') || ''}; };
  const choose = (key, value) => {
    const box = document.querySelector(`[data-filter=${key}]`);
    box.value = value;
    box.dispatchEvent(new Event('change', {bubbles: true}));
  };
  const press = selector => document.querySelector(selector).click();
  look('start');
  press('.pages button:last-child'); look('second page');
  press('[data-set=outcome][data-value=wrong]'); look('wrong');
  choose('qcam', '3'); look('wrong of camera 3');
  choose('id', '5'); look('wrong of camera 3, identity 5');
  press('#filters [data-select]'); look('cleared');
  press('#ranks button:nth-of-type(2)'); look('second bar');
  press('#cameras button'); look('first pair of cameras');
  press('#confusions button'); look('first confusion');
  press('#people button'); look('hardest person');
  choose('id', '999'); look('nobody');
  press('#filters [data-select]');
  choose('sort', 'best'); look('best');
  press('[data-set=ranking][data-value=base]'); look('other ranking');
  const box = document.querySelector('canvas').getBoundingClientRect();
  const canvas = document.querySelector('canvas');
  for (let y = 0; y < box.height && $('tip').hidden; y += 8)
    for (let x = 0; x < box.width && $('tip').hidden; x += 8)
      canvas.onpointermove({clientX: box.left + x, clientY: box.top + y});
  seen.tip = {picture: Boolean($('tip').querySelector('img')), text: $('tip').textContent};
  // The browser's clock waits for pictures that load, but not for promises.
  setTimeout(() => {
    const pictures = [...document.images].map(image => image.complete && image.naturalWidth > 0);
    const text = JSON.stringify({seen, problems, pictures});
    document.body.textContent = '';
    document.head.textContent = '';
    document.body.dataset.result = encodeURIComponent(text);
  }, 500);
}, 500));
</script>"""


def in_browser(page, folder, use=USE):
    """Use a page in headless Chromium; give back what it showed."""
    path = folder / 'page.html'
    path.write_text(page.replace('<head>', f'<head>{LISTEN}', 1).replace(
        '</body>', f'{use}</body>'))
    process = subprocess.run(
        [BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
         '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         f'--user-data-dir={folder / "profile"}', '--window-size=1280,900',
         '--virtual-time-budget=20000', '--dump-dom', path.as_uri()],
        capture_output=True, text=True, timeout=300)
    found = re.search(r'data-result="([^"]*)"', process.stdout)
    assert found, process.stdout[-2000:] + process.stderr[-2000:]
    return json.loads(unquote(found[1]))


def expected_counts(data):
    """Count queries as the page's filters should, from the data alone."""
    view, = data['views']
    people, cameras = (np.array(data['images'][k]) for k in ('identity', 'camera'))
    query = np.array(view['query'])
    shown = view['rankings'][data['rankings'][-1]]
    rank, near = np.array(shown['rank']), np.array([near[0] for near in shown['near']])
    wrong = rank > 1
    pairs = np.stack([people[query], people[near]], 1)[wrong]
    precision = {p: np.mean(np.array(shown['ap'])[people[query] == p]) for p in set(people[query])}
    return {
        'start': len(query),
        'second page': len(query),
        'wrong': wrong.sum(),
        'wrong of camera 3': (wrong & (cameras[query] == 3)).sum(),
        'wrong of camera 3, identity 5': (
            wrong & (cameras[query] == 3) & (people[query] == 5)).sum(),
        'cleared': len(query),
        'second bar': ((rank >= 2) & (rank <= 5)).sum(),
        'first pair of cameras': ((cameras[query] == 3) & (cameras[near] == 1)).sum(),
        'first confusion': np.unique(pairs, axis=0, return_counts=True)[1].max(),
        'hardest person': (people[query] == min(precision, key=precision.get)).sum(),
        'nobody': 0,
        'best': len(query),
        'other ranking': len(query),
    }


def test_filters_change_what_is_shown(large, tmp_path):
    """In a browser where there is one; what the filters count by is checked in any case."""
    data, _, page = large
    expected = expected_counts(data)
    assert 0 < expected['wrong of camera 3, identity 5'] < expected['wrong of camera 3'] < (
        expected['wrong']) < expected['start']
    if BROWSER is None:
        for name in ('outcome', 'rank', 'qcam', 'gcam', 'id', 'other', 'sort'):
            assert re.search(rf"data-filter=\"{name}\"|(group|options)\('{name}'", page), name
        return
    found = in_browser(page, tmp_path)
    assert found['problems'] == []
    assert len(found['pictures']) > 20
    assert all(found['pictures'])
    seen = found['seen']
    assert {name: seen[name]['count'] for name in expected} == expected
    for name, count in expected.items():
        assert seen[name]['rows'] == min(count, 10), name
    assert seen['start']['first'] != seen['second page']['first']
    assert seen['second page']['hash'] == '#page=2'
    assert seen['best']['first'] != seen['cleared']['first']
    assert 'sort=best' in seen['other ranking']['hash']
    assert 'ranking=base' in seen['other ranking']['hash']
    assert seen['tip']['picture']
    assert re.search(r'identity \d+(visible|infrared), camera', seen['tip']['text'])


NARROW = """<script>
addEventListener('load', () => {
  const frame = document.body.firstElementChild;
  frame.srcdoc = PAGE;
  frame.onload = () => setTimeout(() => {
    const page = frame.contentDocument, bar = page.querySelector('.bar');
    const size = svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    const inside = path => {
      const box = path.getBBox(), svg = path.ownerSVGElement.viewBox.baseVal;
      return box.y >= -1 && box.y + box.height <= svg.height && box.x + box.width <= svg.width;
    };
    page.documentElement.style.scrollBehavior = 'auto';
    page.querySelector('[data-go=map]').click();
    document.body.dataset.result = encodeURIComponent(JSON.stringify({
      problems, sideways: page.documentElement.scrollWidth,
      heading: page.querySelector('#map h2').getBoundingClientRect().top - bar.offsetHeight,
      lines: [...page.querySelectorAll('#epochs figure')].map(figure =>
        [...figure.querySelectorAll('.legend span')].map(one => one.textContent)),
      inside: [...page.querySelectorAll('#epochs path')].every(inside),
      drawn: [...page.querySelectorAll('#cmc svg, #epochs svg')].map(size)}));
    frame.remove();
  }, 500);
});
</script>"""


def test_a_telephone_shows_it_all(small, tmp_path):
    """At 420 pixels nothing scrolls sideways, and charts are legible and complete."""
    record = [
        dict(epoch=e, branch=branch, modality=modality, clusters=9, mixed=e, outliers=3,
             linked=5.0, ari=0.5, nmi=None, purity=90.0 if modality == 'both' else None,
             seconds={})
        for e in (1, 2, 3) for branch, modality in (
            ('intra', 'visible'), ('intra', 'infrared'), ('cross', 'both'))]
    data, paths = collect_report(small, topk=4, clustering=record)
    page = render_report(data, paths, title='a title of some length, as a config has', notes=[])
    if BROWSER is None:
        assert '<div class="scroll"><table class="matrix' in page
        return
    inner = json.dumps(page).replace('<', '\\u003c')
    found = in_browser(
        '<!doctype html><head></head><body><iframe style="width:420px;height:900px;border:0">'
        '</iframe></body>', tmp_path, NARROW.replace('PAGE', inner))
    assert found['problems'] == []
    assert found['sideways'] <= 420
    assert 0 <= found['heading'] < 60
    assert len(found['drawn']) == 7
    assert min(found['drawn']) > 0.95
    # Each modality that has clusters of its own has a line; percents stay on their chart.
    *counts, purity = found['lines']
    assert counts == [['intra, visible', 'intra, infrared', 'cross']] * 5
    assert purity == ['cross']
    assert found['inside']


@pytest.mark.slow
def test_the_tool_writes_a_report(tiny_config, repo_root, tmp_path, monkeypatch):
    """As its main: an unsupervised run's record beside the checkpoint is shown too."""
    cfg = Config.fromfile(tiny_config)
    run = tmp_path / 'run'
    run.mkdir()
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), run / 'epoch_2.pth')
    record = [dict(epoch=e, branch='intra', modality='both', clusters=9, mixed=e, outliers=3,
                   linked=5.0, ari=0.5, nmi=None, purity=50.0, seconds={}) for e in (1, 2)]
    (run / 'clustering.json').write_text(json.dumps(record))
    out = tmp_path / 'new' / 'report.html'
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', [
        'report.py', str(tiny_config), str(run / 'epoch_2.pth'), '--out', str(out), '--work-dir',
        str(tmp_path / 'wd'), '--tta', '--protocol', 'all_single', 'indoor_single', '--explore',
        'indoor_single'])
    runpy.run_path(str(repo_root / 'tools/visualization/report.py'), run_name='__main__')
    page = out.read_text()
    data = embedded(page, 'data')
    assert [table['setting'] for table in data['tables']] == ['all_single', 'indoor_single']
    assert [view['setting'] for view in data['views']] == ['indoor_single']
    assert list(data['views'][0]['rankings']) == ['backbone', 'k_reciprocal', 'cift']
    assert data['clustering'] == record
    assert 'run/epoch_2.pth' in page
    assert 'averaged with those of mirror images' in page
