"""Rankings under the protocol of SYSU-MM01."""

import pytest
from golden_ranking import assert_rankings_agree

pytestmark = pytest.mark.golden('eval_sysu')


def test_rankings(golden):
    assert_rankings_agree(golden, 'sysu')
