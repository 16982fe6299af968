"""Epochs whose clustering fails; the record of the others."""

import io
import itertools
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmvireid.clustering import ClusterMatch, Labeller, Partition, SharedMemory
from mmvireid.datasets import ClusterSampler
from mmvireid.engine import PseudoLabelHook
from mmvireid.models import ClusterContrastHead
from mmvireid.registry import LABELLERS, TASK_UTILS
from mmvireid.search import topk
from mmvireid.structures import BatchInfo, ImageSet
from mmvireid.utils.errors import ClusteringError

#: Twelve visible and twelve infrared images of four people, and four people nobody knows.
IDENTITIES = np.tile(np.repeat(np.arange(4), 3), 2)
MODALITY = np.repeat([0, 1], 12)
DIM = 8
#: What may come out of a clustering: names -> labels of all images.
OUTCOMES = {
    'good': IDENTITIES + 4 * MODALITY,
    'mixed': IDENTITIES,
    'other': (IDENTITIES + 1) % 4 + 4 * MODALITY,
    'nothing': np.full(24, -1),
    'infrared only': np.where(MODALITY == 1, IDENTITIES, -1),
    'visible only': np.where(MODALITY == 0, IDENTITIES, -1),
    'one each': MODALITY,
    'one infrared': np.where(MODALITY == 1, 4, IDENTITIES),
    'one visible': np.where(MODALITY == 0, 0, 1 + IDENTITIES),
    'one': np.zeros(24, int),
}


@TASK_UTILS.register_module()
class Scripted:
    """A partition that has an outcome for each epoch."""

    def __init__(self, outcomes, separate):
        self.outcomes = list(outcomes)
        self.separate = separate

    def __call__(self, images, rng, before):
        labels = OUTCOMES[self.outcomes.pop(0)]
        return Partition(labels.astype(np.int64), np.ones(24, bool), self.separate)


@TASK_UTILS.register_module()
class Matching:
    """An associator that needs clusters of both modalities, as Hungarian matching does."""

    calls = 0

    def __call__(self, images, clusters):
        Matching.calls += 1
        scores = torch.zeros(*(
            len(set(clusters[(images.modality == m) & (clusters >= 0)])) for m in (0, 1)))
        return ClusterMatch(scores.argmax(1).numpy(), scores.argmax(0).numpy(),
                            notes=dict(tries=Matching.calls))


@TASK_UTILS.register_module()
class RandomFeatures:
    """An extractor that draws features for each epoch."""

    def __call__(self, runner):
        features = torch.randn(24, DIM, generator=torch.Generator().manual_seed(runner.epoch))
        return ImageSet(dict(base=features), identity=np.full(24, -1), camera=MODALITY + 1,
                        modality=MODALITY, sample_idx=np.arange(24))


class Images:
    """What a dataset says of the images."""

    modalities, identities = MODALITY, IDENTITIES
    cameras = MODALITY + 1

    def __len__(self):
        return 24


class Run:
    """A training as far as the hook is concerned: one branch after the other, two steps."""

    def __init__(self, work_dir, resume=None, first_epoch=0, associate=None,
                 intra_plan=None, **outcomes):
        plans = dict(intra=intra_plan or dict(type='ModalityMemories'),
                     cross=dict(type='SplitMemory'))
        self.hook = PseudoLabelHook(
            dict(type='RandomFeatures'),
            {name: dict(type='ClusterLabeller', associate=associate, plan=plans[name],
                        partition=dict(type='Scripted', outcomes=script, separate=name == 'intra'))
             for name, script in outcomes.items()})
        model = nn.Module()
        model.head = ClusterContrastHead(
            DIM, {name: dict(memory=dict(type='ClusterMemory')) for name in outcomes})
        sampler = ClusterSampler(Images(), tuple(outcomes), 2, 2, 2, num_steps=2, seed=0)
        self.scalars = []
        self.runner = SimpleNamespace(
            epoch=first_epoch, seed=0, work_dir=str(work_dir), model=model, _resume=bool(resume),
            _load_from=None, logger=logging.getLogger('run'),
            visualizer=SimpleNamespace(add_scalars=lambda *a, **k: self.scalars.append((a, k))),
            train_dataloader=SimpleNamespace(dataset=Images(), sampler=sampler))
        if resume:
            self.hook.after_load_checkpoint(self.runner, resume)
        self.hook.before_train(self.runner)

    def epoch(self):
        """Train for an epoch; give the branches of the batches."""
        runner, head = self.runner, self.runner.model.head
        self.hook.before_train_epoch(runner)
        branches = []
        drawn = iter(runner.train_dataloader.sampler)
        while batch := list(itertools.islice(drawn, 8)):
            branches.append(batch[0].branch)
            losses = head.loss(torch.randn(8, DIM), BatchInfo(
                modality=torch.from_numpy(MODALITY[batch]), index=torch.tensor(batch),
                branch=batch[0].branch))
            total = sum(losses.values())
            total.backward()
            assert torch.isfinite(total)
            assert total > 0
            self.hook.after_train_iter(runner, 0)
        runner.epoch += 1
        return branches

    def checkpoint(self):
        """Save and load what the hook adds to a checkpoint."""
        saved, file = {}, io.BytesIO()
        self.hook.before_save_checkpoint(self.runner, saved)
        torch.save(saved, file)
        file.seek(0)
        return torch.load(file, weights_only=True)


@pytest.mark.parametrize(('branch', 'failure', 'words'), [
    ('intra', 'nothing', 'all 12 visible images are outliers'),
    ('intra', 'infrared only', 'all 12 visible images are outliers'),
    ('intra', 'visible only', 'all 12 infrared images are outliers'),
    ('intra', 'one each', 'only 1 cluster in the memory "visible"'),
    ('cross', 'visible only', 'all 12 infrared images are outliers'),
    ('cross', 'one', 'only 1 cluster in the memory "split"'),
])
def test_the_last_good_labels_are_kept(tmp_path, caplog, branch, failure, words):
    run = Run(tmp_path, **{branch: ['good', 'mixed', failure, failure, 'other']})
    kept = 'good' if branch == 'intra' else 'mixed'
    if branch == 'intra':
        run.hook.labellers['intra'].partition.outcomes.pop(1)
    else:
        run.hook.labellers['cross'].partition.outcomes.pop(0)
    run.epoch()
    assert not caplog.records
    for failures in (1, 2):
        run.epoch()
        np.testing.assert_array_equal(run.hook.last_clustering.labels[branch], OUTCOMES[kept])
        message = caplog.records[-1].getMessage()
        assert words in message
        assert 'last good labels are kept' in message
        assert f'({failures} of 3 failures' in message
        # Prototypes are those of the features of this epoch: unit means, then moved.
        for memory in run.runner.model.head.memories(branch).values():
            assert torch.isfinite(memory.prototypes).all()
    run.epoch()
    np.testing.assert_array_equal(run.hook.last_clustering.labels[branch], OUTCOMES['other'])
    assert len(caplog.records) == 2
    records = json.loads((tmp_path / 'clustering.json').read_text())
    assert {record['epoch'] for record in records} == {1, 2, 3, 4}
    # The record is of what was found, not of what was used in its place.
    assert {record['epoch'] for record in records if record['failed']} == {2, 3}
    in_clusters = {epoch: sum(r['images'] - r['outliers'] for r in records if r['epoch'] == epoch)
                   for epoch in (1, 2)}
    assert in_clusters == {1: (OUTCOMES[kept] >= 0).sum(), 2: (OUTCOMES[failure] >= 0).sum()}


def test_no_later_step_meets_a_modality_without_clusters(tmp_path, caplog):
    run = Run(tmp_path, associate=dict(type='Matching'),
              intra=['good', 'infrared only', 'visible only', 'other'])
    for _ in range(4):
        run.epoch()
    assert Matching.calls == 4  # after a failure with the clusters of an earlier epoch
    assert [record.getMessage().split(' ')[4] for record in caplog.records] == [
        'visible', 'infrared']
    np.testing.assert_array_equal(run.hook.last_clustering.labels['intra'], OUTCOMES['other'])


@pytest.mark.parametrize(('associate', 'plan'), [
    (dict(type='ProgressiveGraphMatching'), dict(type='MatchedMemories')),
    (dict(type='ProgressiveGraphMatching'), dict(type='NeighborSoftMemories', scale=0)),
    (dict(type='OptimalTransportMatching'), dict(type='HybridMemories')),
    (dict(type='VoteMatching'), dict(type='AggregatedMemories')),
    (dict(type='VoteMatching', threshold=1e9), dict(type='AggregatedMemories'))])
def test_training_goes_on_whatever_can_be_matched(tmp_path, caplog, associate, plan):
    """A single cluster on a side teaches nothing about it: the last good ones are matched anew."""
    script = ['good', 'one visible', 'one infrared', 'other', 'infrared only', 'visible only',
              'good']
    run = Run(tmp_path, associate=associate, intra_plan=plan, intra=script)
    for _ in script:
        run.epoch()
    said = [record.getMessage() for record in caplog.records if 'branch' in record.getMessage()]
    assert [next(part for part in ('memory "visible"', 'memory "infrared"', 'all 12 visible',
                                   'all 12 infrared') if part in line) for line in said] == [
        'memory "visible"', 'memory "infrared"', 'all 12 visible', 'all 12 infrared']
    unmatched = [record for record in caplog.records if 'no clusters are matched' in
                 record.getMessage()]
    # A line for each epoch in which nothing was matched, and none else.
    assert (len(unmatched) >= len(script)) == ('threshold' in associate)


def test_three_failures_in_a_row_stop_training(tmp_path):
    run = Run(tmp_path, intra=['good', 'nothing', 'nothing', 'good', *3 * ['one each']])
    for _ in range(6):
        run.epoch()
    with pytest.raises(ClusteringError, match='failed 3 times in a row.*only 1 cluster .*'
                       'raise eps if .*labellers.intra.partition'):
        run.epoch()


def test_without_any_labels_training_does_not_begin(tmp_path):
    with pytest.raises(ClusteringError, match='nothing to learn from: raise eps'):
        Run(tmp_path, intra=['nothing']).epoch()


def test_turns_of_a_branch_without_labels_go_to_the_other(tmp_path, caplog):
    run = Run(tmp_path, intra=4 * ['good'], cross=['nothing', 'one', 'mixed', 'nothing'])
    for epoch in (1, 2):
        assert run.epoch() == 4 * ['intra']
        records = json.loads((tmp_path / 'clustering.json').read_text())
        assert {(r['branch'], r['failed']) for r in records if r['epoch'] == epoch} == {
            ('intra', False), ('cross', True)}
        assert set(run.hook.last_clustering.labels) == {'intra'}
        assert 'sits this epoch out' in caplog.records[-1].getMessage()
    for _ in range(2):
        assert run.epoch() == 2 * ['intra', 'cross']
    np.testing.assert_array_equal(run.hook.last_clustering.labels['cross'], OUTCOMES['mixed'])


def test_failures_and_labels_survive_a_resume(tmp_path, caplog):
    run = Run(tmp_path, intra=['good', 'nothing'])
    for _ in range(2):
        run.epoch()
    resumed = Run(tmp_path, resume=run.checkpoint(), first_epoch=2,
                  intra=['visible only', 'nothing'])
    resumed.epoch()
    np.testing.assert_array_equal(
        resumed.hook.last_clustering.labels['intra'], OUTCOMES['good'])
    assert '(2 of 3 failures' in caplog.records[-1].getMessage()
    with pytest.raises(ClusteringError, match='failed 3 times in a row'):
        resumed.epoch()
    records = json.loads((tmp_path / 'clustering.json').read_text())
    assert [record['epoch'] for record in records] == [1, 1, 2, 2, 3, 3]


def test_what_the_search_says_is_in_the_log_of_the_run(tmp_path, caplog):
    """Each message once, also after other runs in the same process."""
    caplog.set_level('INFO', logger='run')
    for _ in range(2):
        Run(tmp_path, intra=['good'])
    topk(np.eye(80, dtype=np.float32), np.eye(80, dtype=np.float32), 2, backend='ivf')
    said = [r.getMessage() for r in caplog.records if r.name == 'run']
    assert ['recall@2' in message for message in said] == [True]


def test_the_record_of_an_epoch(tmp_path, caplog):
    caplog.set_level('INFO')
    run = Run(tmp_path, intra=2 * ['good'], cross=2 * ['mixed'])
    run.epoch()
    rows = json.loads((tmp_path / 'clustering.json').read_text())
    assert [(row['branch'], row['modality']) for row in rows] == [
        ('intra', 'visible'), ('intra', 'infrared'), ('cross', 'both')]
    assert [row['clusters'] for row in rows] == [4, 4, 4]
    assert [row['mixed'] for row in rows] == [0, 0, 4]
    assert [row['linked'] for row in rows] == [0, 0, 100]
    assert [row['purity'] for row in rows] == [None, None, 100]
    assert all(row['ari'] == row['nmi'] == 1 for row in rows)
    assert set(rows[0]['seconds']) == {'extract', 'label'}
    (numbers, ), step = run.scalars[0]
    assert step == dict(step=1)
    assert numbers['clustering/cross_both/mixed'] == 4
    table = caplog.records[-1].getMessage()
    assert all(word in table for word in ('Clusters of epoch 1', 'intra visible', 'ARI', '0/24'))

    # Another run in the same folder begins a record of its own, a resumed one goes on.
    Run(tmp_path, resume=run.checkpoint(), first_epoch=1, intra=['good'], cross=['mixed']).epoch()
    assert len(json.loads((tmp_path / 'clustering.json').read_text())) == 6
    Run(tmp_path, intra=['good'], cross=['mixed']).epoch()
    assert len(json.loads((tmp_path / 'clustering.json').read_text())) == 3


def test_the_record_of_matched_clusters(tmp_path, caplog):
    """What is together, by the partners, has a row of its own; notes are of the branch."""
    caplog.set_level('INFO')
    Matching.calls = 0
    run = Run(tmp_path, associate=dict(type='Matching'), intra=['good'])
    run.epoch()
    rows = json.loads((tmp_path / 'clustering.json').read_text())
    assert [row['modality'] for row in rows] == ['visible', 'infrared', 'both']
    notes = {'matched visible': 4, 'matched infrared': 4, 'tries': 1}
    for row in rows:
        assert row['notes'] == notes
        assert set(row['seconds']) == {'extract', 'label', 'match'}
    # All four visible clusters have chosen the first infrared one.
    assert (rows[2]['clusters'], rows[2]['mixed']) == (4, 1)
    assert rows[2]['linked'] == pytest.approx(100 * 15 / 24)
    assert rows[2]['purity'] == 25
    (numbers, ), _ = run.scalars[0]
    assert {name: numbers[f'clustering/intra/{name}'] for name in notes} == notes
    assert 'intra: matched visible 4, matched infrared 4, tries 1' in (
        caplog.records[-1].getMessage())


@LABELLERS.register_module()
class BothTogether(Labeller):
    """A labeller of a file of one's own, which reads what an earlier branch has made."""

    def __call__(self, images, epoch, rng, before):
        return self.from_clusters(images, before['intra'].labels % 4, epoch)

    def from_clusters(self, images, clusters, epoch):
        return SharedMemory()(images, clusters, clusters)


def test_a_labeller_of_ones_own_reads_what_earlier_branches_have_made(tmp_path):
    run = Run(tmp_path, intra=2 * ['good'], cross=[])
    run.hook.labellers['cross'] = LABELLERS.build(dict(type='BothTogether'))
    for _ in range(2):
        assert run.epoch() == 2 * ['intra', 'cross']
        np.testing.assert_array_equal(
            run.hook.last_clustering.labels['cross'], OUTCOMES['mixed'])
    assert set(run.runner.model.head.memories('cross')) == {'shared'}


def test_a_turn_that_nobody_knows_is_said_before_training(tmp_path):
    run = Run(tmp_path, intra=['good'])
    run.runner.train_dataloader.sampler = ClusterSampler(Images(), ['intra', 'global'], seed=0)
    with pytest.raises(ValueError, match='branch "global", but default_hooks.* has only intra'):
        run.hook.before_train(run.runner)
