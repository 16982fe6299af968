"""A value of a config that stands for another key of it."""

import pytest
from mmengine.config import Config

from mmvireid.config import load_config
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.references import merge_options

CIFT = 'configs/cift/cift_r50_120e_regdb.py'
PLACES = [f'{name}.rankings.cift.scorer.graph' for name in ('val_evaluator', 'test_evaluator')]


@pytest.mark.parametrize(('options', 'head', 'val', 'test'), [
    ({}, 0.2, 0.2, 0.2),
    ({'model.head.graph.tau_het': 0.3}, 0.3, 0.3, 0.3),
    ({f'{PLACES[1]}.tau_het': 0.3}, 0.2, 0.2, 0.3),
    ({f'{PLACES[0]}.tau_het': 0.5, 'model.head.graph.tau_het': 0.3}, 0.3, 0.5, 0.3),
    ({PLACES[0]: dict(tau_het=0.7)}, 0.2, 0.7, 0.2),
])
def test_what_is_trained_is_ranked_unless_one_says_otherwise(
        repo_root, tmp_path, options, head, val, test):
    """Also when the run goes on from the config that it has written down."""
    cfg = load_config(repo_root / CIFT, options)
    cfg.dump(tmp_path / 'dumped.py')
    for read in (cfg, load_config(tmp_path / 'dumped.py')):
        assert read.model.head.graph.tau_het == head
        assert read.val_evaluator.rankings.cift.scorer.graph.tau_het == val
        assert read.test_evaluator.rankings.cift.scorer.graph.tau_het == test


def test_what_is_left_to_its_default_is_ranked_so(repo_root):
    head = dict(_delete_=True, type='CIFTHead', num_classes=8, in_channels=64)
    cfg = load_config(repo_root / CIFT, {'model.head': head})
    assert cfg.test_evaluator.rankings.cift.scorer.graph is None  # the paper's, as in the head
    with pytest.raises(ConfigError, match='graph is taken from model.head.graph, which this '):
        load_config(repo_root / CIFT, {'model.head': dict(head, type='IdentityHead')})


def test_parts_do_not_share_the_value():
    cfg = Config(dict(a=dict(x=[1, 2]), b=['${a.x}', dict(c='${a.x.1}'), '${b.1.c}']))
    merge_options(cfg, {})
    assert cfg.b == [[1, 2], dict(c=2), 2]
    cfg.b[0].append(3)
    assert cfg.a.x == [1, 2]
    # A variable of the environment is none of the config's keys.
    cfg = Config(dict(data_root='${HOME}'))
    merge_options(cfg, {})
    assert cfg.data_root == '${HOME}'


@pytest.mark.parametrize(('content', 'words'), [
    (dict(b=dict(c='${a.x}')), 'b.c is taken from a.x, which this config does not have'),
    (dict(a=dict(x='${a.y}', y='${a.x}')), 'is taken from itself'),
])
def test_a_reference_that_leads_nowhere(content, words):
    with pytest.raises(ConfigError, match=words):
        merge_options(Config(content), {})
    # What nobody reads after the config was read may stay.
    merge_options(Config(content), {}, live=['d'])


def test_an_old_key_names_the_new_one(repo_root):
    words = 'tau_het" of an earlier version is now model.head.graph.tau_het'
    with pytest.raises(ConfigError, match=words):
        load_config(repo_root / CIFT, {'model.head.tau_het': 0.3})
