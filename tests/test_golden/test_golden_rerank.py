"""k-reciprocal re-ranking (Zhong et al., CVPR 2017)."""

import re

import numpy as np
import pytest

from mmvireid.evaluation import k_reciprocal_rerank

pytestmark = pytest.mark.golden('rerank', unused=('query_id', 'gallery_id'))


def test_distances(golden):
    cases = [re.fullmatch(r'dist_k1_(\d+)_k2_(\d+)_lambda_(\d+)', name) for name in golden]
    for case in filter(None, cases):
        k1, k2, tenths = map(int, case.groups())
        distance = k_reciprocal_rerank(
            golden['query'], golden['gallery'], k1=k1, k2=k2, lambda_value=tenths / 10)
        np.testing.assert_allclose(
            distance, golden[case[0]], rtol=0, atol=1e-5, err_msg=case[0])
