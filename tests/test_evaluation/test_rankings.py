"""Rankings: read once, for metric, inferencer and pictures."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from mmvireid.evaluation import KReciprocalReRanking, RegDBMetric
from mmvireid.evaluation.rankings import (
    CosineScorer,
    PreparedGallery,
    Ranking,
    Scorer,
    build_rankings,
)
from mmvireid.registry import RANKERS, TASK_UTILS
from mmvireid.structures import ImageSet, Modality
from mmvireid.utils.errors import ConfigError, EvaluationError


def image_set(n, modality, names=('base', 'other'), seed=0):
    generator = torch.Generator().manual_seed(seed + int(modality))
    zeros = np.zeros(n, dtype=np.int64)
    return ImageSet(
        {name: normalize(torch.randn(n, 8, generator=generator)) for name in names},
        zeros, zeros, zeros + int(modality), np.arange(n))


QUERY, GALLERY = image_set(5, Modality.INFRARED), image_set(9, Modality.VISIBLE)


class Euclidean(Scorer):
    """Counts how often a gallery is prepared; has no search of its own."""

    uses = frozenset({'cameras'})

    def __init__(self):
        self.prepared = 0

    def descriptors_for(self, modality):
        return ('base', 'other')[int(modality):]

    def prepare(self, gallery, modality):
        self.prepared += 1
        return Together(gallery.descriptors[self.descriptors_for(modality)[0]])


class Together(PreparedGallery):

    def __init__(self, rows):
        self.rows = rows

    def distance(self, query):
        return torch.cdist(query.descriptors['other'], self.rows)


def test_a_scorer_of_ones_own():
    ranking = Ranking('own', Euclidean())
    galleries = [np.array([3, 1, 4]), np.array([8])]
    wanted = torch.cdist(QUERY.descriptors['other'], GALLERY.descriptors['other'])
    results = ranking.rank_trials(QUERY, GALLERY, galleries)
    for rows, result in zip(galleries, results, strict=True):
        torch.testing.assert_close(result.distance, wanted[:, rows])
        assert result.descriptor == 'other'
    assert ranking.scorer.prepared == 2
    gallery = ranking.prepare(GALLERY)
    for queries in (QUERY, QUERY[:2]):  # prepared once, however often it is searched
        found = gallery.nearest(queries, 4)
        values, rows = wanted[:len(queries)].topk(4, largest=False)
        torch.testing.assert_close(found.distance, values)
        assert torch.equal(found.rows, rows)
    assert ranking.scorer.prepared == 3
    assert ranking.label == 'own (cameras)'
    assert not ranking.transductive
    assert ranking.single_descriptor is None
    assert ranking.descriptors == {'base', 'other'}


def test_search_is_ranking():
    """Block by block or with the whole matrix, before and after other steps."""
    for name, ranking in build_rankings(dict(
            plain={}, by_modality=dict(descriptor=dict(visible='base', infrared='other')),
            steps=dict(post=[dict(type='KReciprocalReRanking', k1=3, k2=2)]))).items():
        gallery = ranking.prepare(GALLERY)
        result, found = gallery.rank(QUERY), gallery.nearest(QUERY, 3)
        trial, = ranking.rank_trials(QUERY, GALLERY, [np.arange(9)])
        torch.testing.assert_close(trial.distance, result.distance, msg=name)
        torch.testing.assert_close(result.distance.gather(1, found.rows), found.distance)
        torch.testing.assert_close(result.distance.sort(dim=1)[0][:, :3], found.distance)


def test_a_step_that_does_not_say_what_it_uses_may_use_all():
    ranking = Ranking('own', CosineScorer(), [lambda result: result])
    assert ranking.transductive
    assert ranking.label == 'own (all queries, whole gallery)'
    assert Ranking('plain', CosineScorer()).label == 'plain'
    assert Ranking('plain', CosineScorer()).single_descriptor == 'base'
    several = CosineScorer(dict(visible='base', infrared='other'))
    assert Ranking('plain', several).single_descriptor is None


def test_queries_of_both_modalities():
    """Where both compare the same descriptor they may come together."""
    both = ImageSet(QUERY.descriptors, QUERY.identity, QUERY.camera, np.array([0, 1, 1, 0, 1]),
                    QUERY.sample_idx)
    plain = Ranking('base', CosineScorer('base'))
    assert torch.equal(plain.prepare(GALLERY).rank(both).distance,
                       plain.prepare(GALLERY).rank(QUERY).distance)
    with pytest.raises(EvaluationError, match='visible and infrared: rank each modality'):
        Ranking('own', Euclidean()).prepare(GALLERY).rank(both)


def test_missing_descriptors():
    for query, gallery in ((QUERY, image_set(9, 0, ['base'])),
                           (image_set(5, 1, ['base']), GALLERY)):
        with pytest.raises(EvaluationError, match='"own" needs the descriptor "other", but there '
                                                  'is base: choose'):
            Ranking('own', CosineScorer('other')).prepare(gallery).nearest(query, 2)


def test_parts_that_were_registered_as_task_utils():
    """Post-processors had no registry of their own once."""
    @TASK_UTILS.register_module(name='_OldStep')
    def old_step():
        return KReciprocalReRanking(k1=2, k2=1)

    try:
        ranking = build_rankings(dict(a=dict(post=[dict(type='_OldStep')])))['a']
    finally:
        TASK_UTILS.module_dict.pop('_OldStep')
    assert ranking.transductive


@pytest.mark.parametrize(('entry', 'words'), [
    (dict(descripter='base'), 'takes descriptor or scorer, and post, not descripter'),
    (dict(descriptor='base', scorer=dict(type='CosineScorer')), 'takes descriptor or scorer'),
    (dict(post=[dict(type='CosineScorer', old=3)]), r'write scorer=dict\(type="CosineScorer"'),
    (dict(scorer=dict(type='KReciprocalReRanking')), 'name it in post'),
    (dict(scorer=dict(type='Nothing')), 'no scorer or post-processor "Nothing"; registered'),
    (dict(scorer=dict(graph={})), 'a dict with a type'),
    (dict(post=dict(type='KReciprocalReRanking')), 'a list of dicts'),
    (dict(scorer=dict(type='CosineScorer', descriptor='${model.x}')), 'load_config'),
])
def test_entries_that_cannot_be_understood(entry, words):
    with pytest.raises(ConfigError, match=words):
        RegDBMetric(rankings=dict(a=entry))


def test_everything_registered_says_what_it_uses():
    RANKERS.import_from_location()
    for name, part in RANKERS.module_dict.items():
        assert isinstance(part.uses, frozenset), name
