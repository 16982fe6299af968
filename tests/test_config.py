"""What reading a config does to it, and what it refuses."""

import pytest

from mmvireid.cli import tool_parser
from mmvireid.cli.arguments import add_out, add_work_dir
from mmvireid.config import load_config
from mmvireid.utils.errors import ConfigError

PATHS = '''
work_dir = '~/runs/x'
load_from = '$STORE/a.pth'
data_root = '~/sysu,v2'
pipeline = [dict(type='LoadReIDImage', size=(48, 24), cache_dir='~/cache')]
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')))
train_dataloader = dict(dataset=dict(
    data_root=data_root, ann_file='${STORE}/train.csv', pipeline=pipeline))
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=1),
    pictures=dict(type='RankingListHook', out_dir='~/pictures'))
'''


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Write a config with paths of a shell, and keep what is relative in an empty folder."""
    monkeypatch.setenv('HOME', '/home/me')
    monkeypatch.setenv('STORE', '/mnt/store')
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'paths.py'
    path.write_text(PATHS)
    return path


def test_paths_of_a_config_are_those_of_a_shell(written):
    cfg = load_config(written)
    dataset = cfg.train_dataloader.dataset
    assert (cfg.work_dir, cfg.load_from) == ('/home/me/runs/x', '/mnt/store/a.pth')
    assert (dataset.data_root, dataset.ann_file) == ('/home/me/sysu,v2', '/mnt/store/train.csv')
    assert dataset.pipeline[0].cache_dir == '/home/me/cache'
    assert cfg.model.backbone.init_cfg.checkpoint == 'torchvision://resnet50'
    assert cfg.default_hooks.pictures.out_dir == '/home/me/pictures'
    assert cfg.default_hooks.checkpoint.interval == 1


def test_paths_of_the_command_line_are_too(written):
    parser = tool_parser('a tool')
    add_work_dir(parser)
    add_out(parser, 'file')
    args = parser.parse_args(['--work-dir=~/r', '--out=$STORE/o.json'])
    assert (args.work_dir, args.out) == ('/home/me/r', '/mnt/store/o.json')
    cfg = load_config(written, {'data_root': '~/new', 'default_hooks.pictures.out_dir': '~/p'},
                      work_dir='~/elsewhere')
    assert cfg.work_dir == '/home/me/elsewhere'
    assert cfg.train_dataloader.dataset.data_root == '/home/me/new'
    assert cfg.default_hooks.pictures.out_dir == '/home/me/p'


@pytest.mark.parametrize(('options', 'words'), [
    ({'num_workers': 0, 'persistent_workers': True},
     'persistent_workers is for processes .* set it to 1 or more, or leave'),
    ({'num_workers': 0, 'prefetch_factor': 2}, 'prefetch_factor is for processes'),
    ({'persistent_workers': True}, 'persistent_workers is for processes'),
    ({'num_workers': -1}, 'num_workers=-1 is no number of processes: set it'),
    ({'num_workers': 1.5}, 'num_workers=1.5 is no number of processes')])
def test_loaders_that_pytorch_cannot_make(written, options, words):
    for name in ('train_dataloader', 'test_dataloader'):
        with pytest.raises(ConfigError, match=f'{name}.{words}'):
            load_config(written, {f'{name}.{key}': value for key, value in options.items()})
    load_config(written, {f'{name}.num_workers': 2, f'{name}.persistent_workers': True})


def test_a_variable_that_is_not_set(written, monkeypatch, capsys):
    monkeypatch.delenv('STORE')
    with pytest.raises(ConfigError, match='variable STORE, which is not set'):
        load_config(written)
    parser = tool_parser('a tool')
    add_out(parser, 'file')
    with pytest.raises(SystemExit):
        parser.parse_args(['--out=$STORE/o.json'])
    assert 'variable STORE, which is not set' in capsys.readouterr().err


@pytest.mark.parametrize(('text', 'message'), [
    ("model = dict(type='mmvireid.UnsupervisedReIdentifier')",
     '"UnsupervisedReIdentifier" .* is now CrossModalityReIdentifier: change model.type'),
    ("hooks = [dict(extractor=dict(type='TrainingSetExtractor', descriptor='base'))]",
     'is now descriptors, .*: change hooks.0.extractor.descriptor'),
])
def test_a_name_of_an_earlier_version_is_answered_by_the_new_one(tmp_path, text, message):
    path = tmp_path / 'old.py'
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


@pytest.mark.parametrize(('name', 'text', 'said'), [
    ('weights.pth', 'PK', 'is no config file, their names end in .py'),
    ('own.py', 'a = unknown + 1', r"'unknown' is not defined \(NameError\)"),
    ('own.py', 'a = dict(', r'own.py cannot be used: .*SyntaxError'),
    ('own.py', 'a = [1][2]', r'list index out of range \(IndexError\)'),
])
def test_what_is_no_config(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / name)
