"""What ``--cfg-options`` makes of the words behind it."""

import argparse

import pytest

from mmvireid.cli import add_config_options
from mmvireid.cli.config_options import parse_option, parse_value


@pytest.mark.parametrize(('text', 'value'), [
    ('8', 8), ('1e-3', 0.001), ('-0.5', -0.5), ('true', True), ('False', False), ('None', None),
    ('none', 'none'), ('', ''), ('BN', 'BN'), ('two words', 'two words'), ('a=b', 'a=b'),
    ('1,2', [1, 2]), ('[1,2]', [1, 2]), ('[1, 2]', [1, 2]), ('[]', []),
    ('(0.9,0.99)', (0.9, 0.99)), ('(3)', (3, )), ('[a,b]', ['a', 'b']), ('a, b', ['a', 'b']),
    ('[a]', ['a']), ('[(1,2),[x,true]]', [(1, 2), ['x', True]]), ("['a,b', c]", ['a,b', 'c']),
    ('"1e-3"', '1e-3'), ("'a,b'", 'a,b'), ('"None"', 'None'), ('"', '"'),
    ('{"type": "SGD", "lr": 0.1}', dict(type='SGD', lr=0.1)),
    ('[dict(a=1)]', [dict(a=1)]), ("dict(a=dict(b=[1]), c='d')", dict(a=dict(b=[1]), c='d')),
    ('dict(a=f(1))', 'dict(a=f(1))'), ('dict([1])', 'dict([1])'), ('dict(**{})', 'dict(**{})'),
    ('dict()', {}), ("[{'type': 'RandomFlip'}]", [dict(type='RandomFlip')]),
    ('f(1,2)', 'f(1,2)'), ('a[0', 'a[0'), ('[1,2', '[1,2'), ("it's", "it's"),
])
def test_values(text, value):
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize('path', [
    '/x/sysu,v2', '/x/a b', '/x/[1]', '/x/(copy', '/x/a=b', "/x/it's", '1e-3', 'True', '7',
    '[1,2]', '/x/{a}', '~/x'])
@pytest.mark.parametrize('key', [
    'work_dir', 'test_dataloader.dataset.data_root', 'load_from',
    'model.backbone.init_cfg.checkpoint', 'train_dataloader.dataset.ann_file',
    'train_dataloader.dataset.pipeline.0.cache_dir'])
def test_paths_stay_text(key, path):
    assert parse_option(key, path) == path


def test_no_path():
    assert parse_option('load_from', 'None') is None
    assert parse_option('load_from', '"None"') == 'None'


def test_the_option_may_be_repeated_and_its_words_handed_on():
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    words = ['--cfg-options', 'a.b=1,2', 'c=x=y', '--cfg-options', 'a.b=3', 'data_root=/a b,c']
    args = parser.parse_args(words)
    assert args.cfg_options == {'a.b': 3, 'c': 'x=y', 'data_root': '/a b,c'}
    again = parser.parse_args(['--cfg-options', *args.cfg_option_words])
    assert again.cfg_options == args.cfg_options
    nothing = parser.parse_args([])
    assert (nothing.cfg_options, nothing.cfg_option_words) == ({}, [])


@pytest.mark.parametrize('word', ['verbose', '=3', 'a..b=1', '.lr=1', 'model.=1'])
def test_what_is_no_option(word, capsys):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'a=1', word])
    assert f'write KEY=VALUE, not "{word}"' in capsys.readouterr().err
