"""rank_metrics against naive loops and rankings worked by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.ranking import naive_ranking, random_case

from mmvireid.evaluation import cosine_distance, rank_metrics, trial_distances


def assert_agrees(result, expected):
    np.testing.assert_allclose(result.cmc, expected['cmc'], atol=1e-6)
    assert result.mAP == pytest.approx(expected['mAP'], abs=1e-12)
    assert result.mINP == pytest.approx(expected['mINP'], abs=1e-12)
    assert result.num_valid_queries == expected['num_valid_queries']


@pytest.mark.parametrize('protocol', ['sysu', 'regdb', 'llcm'])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), ties=st.booleans(), num_ids=st.integers(2, 40))
def test_agrees_with_naive_loop(protocol, seed, ties, num_ids):
    case = random_case(seed, ties=ties, num_ids=num_ids)
    # An identity that is certainly present keeps at least one query valid.
    case['query_ids'][0], case['query_cams'][0] = case['gallery_ids'][0], 6
    expected = naive_ranking(*case.values(), protocol=protocol)
    assert_agrees(rank_metrics(**case, protocol=protocol), expected)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_preserving_change_of_distance_changes_nothing(seed):
    case = random_case(seed)
    before = rank_metrics(**case, protocol='sysu')
    case['distance'] = np.exp(3 * case['distance']) - 7
    after = rank_metrics(**case, protocol='sysu')
    np.testing.assert_array_equal(before.cmc, after.cmc)
    assert (before.mAP, before.mINP) == (after.mAP, after.mINP)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_bounds(seed):
    result = rank_metrics(**random_case(seed), protocol='sysu')
    assert 0 < result.mINP <= result.mAP <= 1
    assert np.all(np.diff(result.cmc) >= 0)
    assert result.cmc[-1] <= 1


def test_hand_worked_sysu():
    # gallery         0     1     2     3     4     5
    gallery_ids = [10, 20, 20, 30, 10, 40]
    gallery_cams = [1, 1, 2, 4, 2, 5]
    distance = np.array([
        # Query of identity 10 from camera 6 sees everything:
        #   20 20 10 30 10 40 -> matches at image ranks 3 and 5, identity list 20 10 30 40.
        #   AP = (1/3 + 2/5) / 2, INP = 2/5, first match at identity rank 2.
        [.3, .1, .2, .4, .5, .6],
        # Query of identity 10 from camera 3 does not see images 2 and 4 (camera 2):
        #   30 20 40 10 -> match at rank 4. AP = INP = 1/4, identity rank 4.
        [.9, .2, .0, .1, .0, .5],
        # Query of identity 50: no match, left out.
        [.1, .2, .3, .4, .5, .6],
    ])
    result = rank_metrics(distance, [10, 10, 50], gallery_ids, [6, 3, 6], gallery_cams,
                          protocol='sysu', max_rank=6)
    np.testing.assert_array_equal(result.cmc, [0, .5, .5, 1, 1, 1])
    assert result.mAP == pytest.approx(((1 / 3 + 2 / 5) / 2 + 1 / 4) / 2, abs=1e-15)
    assert result.mINP == pytest.approx((2 / 5 + 1 / 4) / 2, abs=1e-15)
    np.testing.assert_array_equal(result.valid, [True, True, False])
    np.testing.assert_array_equal(result.first_match_rank, [2, 4, 0])
    assert np.isnan(result.average_precision[2])
    assert result.num_valid_queries == 2


def test_hand_worked_regdb_counts_images():
    # Ranked: 20 20 10 30 -> the first match is image 3 (identity 2 under SYSU's rule).
    result = rank_metrics(np.array([[.3, .1, .2, .4]]), [10], [10, 20, 20, 30], protocol='regdb',
                          max_rank=4)
    np.testing.assert_array_equal(result.cmc, [0, 0, 1, 1])
    assert result.mAP == result.mINP == pytest.approx(1 / 3)


def test_hand_worked_llcm_drops_the_same_shot():
    # Image 0 shows the query's identity under the query's camera and is dropped; image 1
    # shows another identity under that camera and stays: 20 10 -> match at rank 2.
    result = rank_metrics(np.array([[.1, .2, .3]]), [10], [10, 20, 10], [4], [4, 4, 7],
                          protocol='llcm', max_rank=2)
    np.testing.assert_array_equal(result.cmc, [0, 1])
    assert result.mAP == result.mINP == pytest.approx(.5)


def test_ties_keep_gallery_order():
    # All distances equal: ranks are gallery positions, the match at position 2.
    result = rank_metrics(np.zeros((1, 3)), [1], [5, 1, 7], protocol='regdb', max_rank=3)
    np.testing.assert_array_equal(result.cmc, [0, 1, 1])


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.float64])
def test_accepts_torch_and_numpy(dtype):
    case = random_case(1)
    distance = torch.as_tensor(case.pop('distance')).to(dtype)
    tensors = {name: torch.as_tensor(value) for name, value in case.items()}
    a = rank_metrics(distance, **tensors, protocol='sysu')
    b = rank_metrics(distance.numpy(), **case, protocol='sysu')
    np.testing.assert_array_equal(a.cmc, b.cmc)
    assert a.mAP == b.mAP


def test_non_contiguous_distance():
    case = random_case(2)
    expected = rank_metrics(**case, protocol='sysu')
    case['distance'] = np.asfortranarray(case['distance'])
    assert rank_metrics(**case, protocol='sysu').mAP == expected.mAP


def test_rejects_bad_input():
    case = random_case(3)
    with pytest.raises(ValueError, match='unknown protocol "market"'):
        rank_metrics(**case, protocol='market')
    with pytest.raises(ValueError, match='needs query_cams'):
        rank_metrics(case['distance'], case['query_ids'], case['gallery_ids'], protocol='sysu')
    with pytest.raises(ValueError, match='gallery_ids must be of shape'):
        rank_metrics(case['distance'], case['query_ids'], case['query_ids'], protocol='regdb')
    with pytest.raises(ValueError, match='must be integers'):
        rank_metrics(case['distance'], case['query_ids'] / 2, case['gallery_ids'],
                     protocol='regdb')
    with pytest.raises(ValueError, match='max_rank'):
        rank_metrics(**case, protocol='sysu', max_rank=0)
    with pytest.raises(ValueError, match='at least one of each'):
        rank_metrics(np.zeros((0, 4)), [], [1, 2, 3, 4], protocol='regdb')
    with pytest.raises(ValueError, match='none of the 60 queries has a match'):
        rank_metrics(**{**case, 'query_ids': case['query_ids'] + 1000}, protocol='sysu')
    case['distance'][7, 3] = np.nan
    with pytest.raises(ValueError, match='hold NaN .first: query 7'):
        rank_metrics(**case, protocol='sysu')


def test_trial_distances_equal_separate_products():
    generator = torch.Generator().manual_seed(0)
    query = torch.nn.functional.normalize(torch.randn(7, 16, generator=generator), dim=1)
    images = torch.nn.functional.normalize(torch.randn(40, 16, generator=generator), dim=1)
    galleries = [np.array([3, 1, 39]), np.array([1, 0, 17, 3]), np.array([5])]
    for distance, rows in zip(trial_distances(query, images, galleries), galleries):
        expected = 1 - query.double() @ images[rows].double().T
        torch.testing.assert_close(distance.double(), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        next(trial_distances(query, images, [torch.arange(40).flip(0)])),
        cosine_distance(query, images).flip(1))
