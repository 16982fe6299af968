"""A terminal and a locale of ASCII only lose no text."""

PROGRAM = """
import sys
from mmengine.logging import MMLogger
from mmvireid.cli import one_sentence_errors
from mmvireid.utils.errors import ConfigError
with one_sentence_errors():
    logger = MMLogger('test', log_file=sys.argv[1])
    logger.info('mAP 40.5 \\u00b1 0.3')
    print('table: 40.5 \\u00b1 0.3')
    raise ConfigError('there is no caf\\u00e9.')
"""


def test_nothing_is_lost(run_tool, tmp_path):
    log = tmp_path / 'run.log'
    done = run_tool('-c', PROGRAM, log, expect=1, LC_ALL='C', PYTHONUTF8='0',
                    PYTHONIOENCODING='ascii')
    assert 'table: 40.5 \\xb1 0.3' in done.stdout
    assert 'mAP 40.5 \\xb1 0.3' in done.stdout
    assert done.stderr.strip().splitlines()[-1] == 'Error: there is no caf\\xe9.'
    assert 'Logging error' not in done.stderr
    assert 'mAP 40.5 ± 0.3' in log.read_text(encoding='utf-8')
