"""MMEngine metrics on top of the protocols."""

import json

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from mmvireid.evaluation import (
    KReciprocalReRanking,
    ListFileMetric,
    LLCMMetric,
    RegDBMetric,
    SYSUMetric,
    format_table,
    k_reciprocal_rerank,
    rank_metrics,
    summarize,
)
from mmvireid.evaluation.functional.protocols import sysu_trial
from mmvireid.structures import RetrievalResult
from mmvireid.utils.errors import EvaluationError

CAMERAS = {1: 0, 2: 0, 3: 1, 4: 0, 5: 0, 6: 1}


def make_samples(num_ids=6, per_camera=12, dim=16, seed=0):
    """Data samples of a small test set, as MMEngine hands them to a metric."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_ids, dim))
    samples = []
    for modality in (0, 1):
        for camera, kind in CAMERAS.items():
            if kind != modality:
                continue
            for identity in range(num_ids):
                for number in range(per_camera):
                    row = centres[identity] + rng.normal(size=dim)
                    row = torch.from_numpy(row / np.linalg.norm(row)).float()
                    samples.append(dict(
                        img_path=f'cam{camera}/{identity:04d}/{number:04d}.jpg',
                        identity=identity, camera=camera, modality=modality, label=-1,
                        sample_idx=len(samples), descriptors=dict(base=row, other=-row)))
    return samples


def evaluate(metric, samples, batch=7):
    for start in range(0, len(samples), batch):
        metric.process(None, samples[start:start + batch])
    return metric.evaluate(len(samples))


def columns(samples):
    rows = torch.stack([sample['descriptors']['base'] for sample in samples])
    arrays = {k: np.array([s[k] for s in samples]) for k in ('identity', 'camera', 'modality')}
    return rows, arrays, [s['img_path'] for s in samples]


@pytest.mark.parametrize('setting', list(SYSUMetric.SETTINGS))
def test_sysu_equals_ranking_every_trial_by_itself(setting):
    samples = make_samples()
    metrics = evaluate(SYSUMetric(settings=[setting], num_trials=3), samples)
    rows, arrays, paths = columns(samples)
    mode, shot = setting.split('_')
    expected = []
    for trial in range(3):
        query, gallery = sysu_trial(arrays['identity'], arrays['camera'], paths, mode=mode,
                                    shot=10 if shot == 'multi' else 1, trial=trial)
        one = rank_metrics(1 - rows[query] @ rows[gallery].T, arrays['identity'][query],
                           arrays['identity'][gallery], arrays['camera'][query],
                           arrays['camera'][gallery], protocol='sysu')
        expected.append((100 * one.cmc[0], 100 * one.mAP, 100 * one.mINP))
    for i, name in enumerate(('R1', 'mAP', 'mINP')):
        column = [row[i] for row in expected]
        key = f'sysu/{setting}/base/{name}'
        assert metrics[key] == pytest.approx(np.mean(column), abs=1e-4)
        assert metrics[f'{key}_std'] == pytest.approx(np.std(column), abs=1e-4)


def test_order_and_padding_do_not_matter():
    """Ranks of a distributed test give images out of order, some of them twice."""
    samples = make_samples()
    expected = evaluate(SYSUMetric(settings='all_single', num_trials=2), samples)
    metric = SYSUMetric(settings='all_single', num_trials=2)
    for sample in reversed(samples):
        metric.process(None, [sample])
    metric.process(None, samples[:3])
    assert metric.evaluate(len(samples)) == expected


def test_a_missing_image_is_an_error():
    samples = make_samples()
    metric = SYSUMetric(settings='all_single')
    metric.process(None, samples[:-1])
    with pytest.raises(RuntimeError, match=f'{len(samples) - 1} of {len(samples)} test images'):
        metric.evaluate(len(samples))


def test_a_metric_can_be_used_again():
    samples = make_samples()
    metric = RegDBMetric()
    assert evaluate(metric, samples) == evaluate(metric, samples)


def test_rankings_choose_descriptor_and_post_processors(tmp_path):
    samples = make_samples()
    metric = RegDBMetric(
        rankings=dict(
            plain=dict(),
            by_modality=dict(descriptor=dict(visible='base', infrared='other')),
            rerank=dict(post=[dict(type='mmvireid.KReciprocalReRanking', k1=5, k2=2)])),
        out_file=str(tmp_path / 'results.json'))
    metrics = evaluate(metric, samples)
    # Opposite descriptors on both sides have the same cosine.
    for direction in ('v2t', 't2v'):
        assert metrics[f'regdb/{direction}/by_modality/mAP'] == pytest.approx(
            metrics[f'regdb/{direction}/plain/mAP'], abs=1e-3)
        assert metrics[f'regdb/{direction}/rerank/mAP'] != metrics[f'regdb/{direction}/plain/mAP']
    document = json.loads((tmp_path / 'results.json').read_text())
    assert [(e['setting'], e['ranking']) for e in document] == [
        (s, r) for s in ('v2t', 't2v') for r in ('plain', 'by_modality', 'rerank')]
    assert [(e['transductive'], e['uses']) for e in document[:3]] == [
        (False, []), (False, []), (True, ['gallery', 'queries'])]
    assert document[0]['trials']['split']['mAP'] == pytest.approx(metrics['regdb/v2t/plain/mAP'])


def test_rerank_processor_is_the_function():
    metric = RegDBMetric()
    evaluate(metric, make_samples())
    result = metric.first_result('v2t', 'base')
    expected = k_reciprocal_rerank(result.query.descriptors['base'],
                                   result.gallery.descriptors['base'], k1=8, k2=3)
    got = KReciprocalReRanking(k1=8, k2=3)(result)
    assert isinstance(got, RetrievalResult)
    assert torch.equal(got.distance, expected)


def test_llcm_tasks_differ_in_one_direction():
    samples = make_samples()
    for sample in samples:
        sample['camera'] = 10 * sample['modality'] + sample['camera']
    paper = evaluate(LLCMMetric(num_trials=2), samples)
    repo = evaluate(LLCMMetric(num_trials=2, task='repo'), samples)
    assert paper['llcm/i2v/base/mAP'] == repo['llcm/i2v/base/mAP']
    assert paper['llcm/v2i/base/mAP'] != repo['llcm/v2i/base/mAP']


def test_own_footage_has_both_directions():
    metrics = evaluate(ListFileMetric(), make_samples())
    assert {'own/i2v/base/R1', 'own/v2i/base/mINP'} <= set(metrics)


def test_queries_without_a_match_are_counted(tmp_path, caplog):
    samples = [s for s in make_samples() if not (s['identity'] == 2 and s['modality'] == 0)]
    for i, sample in enumerate(samples):
        sample['sample_idx'] = i
    metric = RegDBMetric(settings=['t2v'], out_file=str(tmp_path / 'results.json'))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    evaluate(metric, samples)
    logger.removeHandler(caplog.handler)
    assert '120 of 144 queries have a match, the others are left out' in caplog.text
    entry = json.loads((tmp_path / 'results.json').read_text())[0]
    assert (entry['num_queries'], entry['num_valid_queries']) == (144, {'split': 120})


def test_unknown_people_are_no_queries_but_distract():
    samples = make_samples()
    infrared = sum(sample['modality'] == 1 for sample in samples)
    for sample in samples:
        if sample['identity'] == 5:
            sample['identity'] = -1
    metric = ListFileMetric(settings=['i2v'])
    evaluate(metric, samples)
    result = metric.first_result('i2v', 'base')
    assert -1 not in result.query.identity
    assert -1 in result.gallery.identity
    assert len(result.query) == infrared * 5 // 6


def test_official_galleries_come_from_the_tested_dataset(tiny_sysu):
    from mmvireid.datasets import SYSUMM01, sysu_gallery
    dataset = SYSUMM01(tiny_sysu, split='test')
    rng = np.random.default_rng(0)
    samples = [
        dict(info, descriptors=dict(base=torch.from_numpy(rng.normal(size=4)).float()))
        for info in map(dataset.get_data_info, range(len(dataset)))
    ]
    metric = SYSUMetric(settings='all_single', num_trials=2, gallery_source='official')
    evaluate(metric, samples)
    drawn = metric.first_result('all_single', 'base').gallery.img_path
    assert drawn == sysu_gallery(tiny_sysu, trial=0, source='official')


@pytest.mark.parametrize(('build', 'words'), [
    (lambda: SYSUMetric(gallery_source='offical'), 'gallery_source is'),
    (lambda: LLCMMetric(task='papers'), 'task is'),
    (lambda: ListFileMetric(protocol='market'), 'protocol is one of'),
])
def test_typos_are_found_before_any_image_is_embedded(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_one_trial_has_no_deviation():
    metrics = evaluate(RegDBMetric(), make_samples())
    assert not [name for name in metrics if name.endswith('_std')]


def test_llcm_rules_need_cameras():
    samples = make_samples()
    samples[0]['camera'] = 0
    with pytest.raises(EvaluationError, match='add the camera column'):
        evaluate(ListFileMetric(protocol='llcm'), samples)


def test_unknown_setting_names_the_known_ones():
    with pytest.raises(ValueError, match='no setting outdoor; choose from all_single'):
        SYSUMetric(settings=['outdoor'])


def test_unknown_descriptor_names_the_known_ones():
    words = 'needs the descriptor "i2r", but there is base, other: choose another'
    with pytest.raises(EvaluationError, match=words):
        evaluate(RegDBMetric(rankings=dict(cift=dict(descriptor='i2r'))), make_samples())


def test_a_test_set_without_queries_is_one_sentence():
    samples = [s for s in make_samples() if s['modality'] == 0]
    for i, sample in enumerate(samples):
        sample['sample_idx'] = i
    with pytest.raises(EvaluationError, match='has no query image'):
        evaluate(SYSUMetric(), samples)


def test_summary_is_mean_and_population_std():
    assert summarize([dict(R1=1.0), dict(R1=3.0)]) == dict(R1=2.0, R1_std=1.0)


def test_tables_line_up():
    rows = dict(short=dict(R1=5.0, R1_std=0.25), a_longer_name=dict(R1=55.5, R1_std=1.0))
    assert format_table(rows).split('\n') == [
        '                     Rank-1',
        'short           5.00 ± 0.25',
        'a_longer_name  55.50 ± 1.00',
    ]
    assert format_table(rows, markdown=True).split('\n')[1] == '|---------------|-------------:|'
