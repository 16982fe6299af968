"""One check for the rankings of every protocol."""

import numpy as np
import pytest

from mmvireid.evaluation import rank_metrics


def assert_rankings_agree(golden, protocol):
    """Compare all cases of a file; cameras are where the protocol looks at them."""
    for case in [name.removesuffix('_dist') for name in golden if name.endswith('_dist')]:
        arguments = {
            argument: golden[f'{case}_{name}'] for argument, name in (
                ('query_ids', 'q_pid'), ('gallery_ids', 'g_pid'), ('query_cams', 'q_cam'),
                ('gallery_cams', 'g_cam')) if f'{case}_{name}' in golden}
        cmc = golden[f'{case}_cmc']
        result = rank_metrics(golden[f'{case}_dist'], **arguments, protocol=protocol,
                              max_rank=len(cmc))
        np.testing.assert_allclose(result.cmc, cmc, rtol=0, atol=1e-6, err_msg=case)
        assert result.mAP == pytest.approx(float(golden[f'{case}_mAP']), abs=1e-12), case
        assert result.mINP == pytest.approx(float(golden[f'{case}_mINP']), abs=1e-12), case
        without_match = len(arguments['query_ids']) - result.num_valid_queries
        assert without_match == golden[f'{case}_n_query_no_match'], case
