"""The log, for the tests of models."""

import logging

import pytest
from mmengine.logging import MMLogger


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
