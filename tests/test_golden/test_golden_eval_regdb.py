"""Rankings under the protocol of RegDB."""

import pytest
from golden_ranking import assert_rankings_agree

pytestmark = pytest.mark.golden('eval_regdb')


def test_rankings(golden):
    assert_rankings_agree(golden, 'regdb')
