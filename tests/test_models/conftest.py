"""Reference results for the models, our own small case and the golden data; the log."""

import logging

import numpy as np
import pytest
from mmengine.logging import MMLogger
from reference.cift import small_case


@pytest.fixture(scope='session')
def cift_cases(golden_dir):
    """Arrays by name, from naive loops and, where it is, from the released code."""
    cases = {'small': small_case()}
    if golden_dir is not None:
        cases['golden'] = dict(np.load(golden_dir / 'cift.npz'))
    return cases


@pytest.fixture
def run_log():
    """Records that reach the log of the current run."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)
