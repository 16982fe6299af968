"""What the README and the documentation say is true of the code.

Every link leads somewhere, every path exists, every command line is accepted by the
tool that it calls, every key of a config exists, and every Python block is executed.
"""

import importlib.util
import inspect
import re
import shlex
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry

import mmvireid.registry
from mmvireid.config import apply_options, stage_files
from mmvireid.registry import HOOKS, METRICS, MODELS
from mmvireid.structures import BatchInfo, ImageSet

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
    *sorted(ROOT.glob('docs/en/*.md')),
    *sorted(ROOT.glob('configs/*/README.md')),
]
FOLDERS = 'benchmarks|configs|docs|mmvireid|tests|tools'
BLOCK = re.compile(r'(?:<!-- (\w+): (\S+) -->\n)?```(\w+)\n(.*?)```', re.DOTALL)
#: Keys that MMEngine or PyTorch knows although no config has them, and a hook to be added.
FREE_KEYS = {'sync_bn', 'randomness.deterministic', 'train_dataloader.persistent_workers',
             'default_hooks.clustering_plot.type', 'default_hooks.clustering_plot.interval'}
#: Script -> the tool that it starts, and where its own arguments are.
SCRIPTS = {
    'dist_train.sh': ('train', ['config', 'num']),
    'dist_test.sh': ('test', ['config', 'checkpoint', 'num']),
    'slurm_train.sh': ('train', ['partition', 'job', 'config', 'work_dir']),
    'slurm_test.sh': ('test', ['partition', 'job', 'config', 'checkpoint']),
}

each_document = pytest.mark.parametrize(
    'document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(document, language):
    """List (mark, its value, text) of the fenced blocks in one language."""
    return [(mark, value, text) for mark, value, name, text in BLOCK.findall(document.read_text())
            if name == language]


def commands(document):
    """List the command lines, as words, without assignments before them."""
    found = []
    for _, _, text in blocks(document, 'bash'):
        for line in text.replace('\\\n', ' ').splitlines():
            for part in line.split('&&'):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r'[A-Z_]+=.*', words[0]):
                    words.pop(0)
                if words:
                    found.append(words)
    return found


def anchors(document):
    """List the anchors that a Markdown page gets from its headings."""
    text = re.sub(r'```.*?```', '', document.read_text(), flags=re.DOTALL)
    titles = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


@each_document
def test_links_lead_somewhere(document):
    text = re.sub(r'```.*?```', '', document.read_text(), flags=re.DOTALL)
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if '://' in link:
            continue
        path, _, anchor = link.partition('#')
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def present(text):
    """Leave out what stands before an arrow: the old name of something."""
    return re.sub(r'(?:`[^`]+`(?:, | and |: )?)+[^`→\n]*\s*→', '→', text)


@each_document
def test_paths_exist(document):
    text = present(document.read_text())
    for path in re.findall(rf'(?<![\w/.-])(?:{FOLDERS})/[\w./-]*(?![\w./<{{*-])', text):
        assert (ROOT / path.rstrip('.')).exists(), path


@pytest.fixture(scope='module')
def parse():
    """Let a tool parse a command line, without running it."""
    tools = {}

    def run(tool, arguments):
        if tool not in tools:
            spec = importlib.util.spec_from_file_location(tool.stem, tool)
            tools[tool] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(tools[tool])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, 'argv', [str(tool), *arguments])
            return tools[tool].parse_args()

    return run


def tool_call(words):
    """Give the tool and its arguments that a command line comes down to, or None."""
    if words[0] == 'python':
        return ROOT / words[1], words[2:]
    if words[0] == 'bash':
        script = ROOT / words[1]
        assert script.is_file()
        tool, positions = SCRIPTS[script.name]
        own = dict(zip(positions, words[2:], strict=False))
        assert len(own) == len(positions), words
        given = [own[name] for name in ('config', 'checkpoint') if name in own]
        return ROOT / f'tools/{tool}.py', [*given, *words[2 + len(positions):]]
    return None


def check_command(words, parse, scratch):
    """Check one command line against the code."""
    if words[0] == 'make':
        targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets), words
    elif words[:3] == ['pip', 'install', '-e']:
        extras = re.search(r'\[(.*)\]', words[3])[1].split(',')
        known = (ROOT / 'pyproject.toml').read_text().split('optional-dependencies]')[1]
        assert all(re.search(rf'^{extra} = ', known, re.MULTILINE) for extra in extras), words
    elif (call := tool_call(words)) is not None:
        tool, arguments = call
        try:
            args = parse(tool, arguments)
        except SystemExit as error:
            pytest.fail(f'{tool.name} does not accept {shlex.join(arguments)}: {error}')
        named = getattr(args, 'config', [])
        for config in [named] if isinstance(named, str) else named:
            path = scratch / config
            cfg = Config.fromfile(path, import_custom_modules=False)
            stages = [Config.fromfile(path.parent / file) for file in cfg.get('stages', ())]
            stages = stages or [cfg]
            for stage in stages:
                apply_options(stage, {})
            options = args.cfg_options or []
            for key in (option.split('=')[0] for option in options):
                stage = re.match(r'stages\.(\d+)\.', key)
                wanted = [stages[int(stage[1])]] if stage else stages
                key = key[stage.end():] if stage else key
                assert any(known_key(cfg, key) for cfg in wanted), f'{config} has no {key}'
            if getattr(args, 'protocol', None):
                METRICS.build({**stages[-1].test_evaluator, 'settings': args.protocol})


@each_document
def test_commands_are_accepted(document, parse, scratch):
    for words in commands(document):
        check_command(words, parse, scratch)


def test_wrong_commands_are_noticed(parse, scratch):
    """The check itself can fail."""
    config = 'configs/cift/cift_r50_120e_sysu.py'
    for command in (f'python tools/train.py {config} --no-such-option',
                    f'python tools/train.py {config} --cfg-options model.head.no_such_key=1',
                    f'python tools/test.py {config} --protocol no_such_setting',
                    'python tools/train.py configs/no_such_config.py',
                    'bash tools/dist_test.sh CONFIG',
                    'make no_such_target', 'pip install -e .[no_such_extra]'):
        with pytest.raises((pytest.fail.Exception, AssertionError, FileNotFoundError,
                            ValueError)):
            check_command(shlex.split(command), parse, scratch)


def class_of(name):
    """Find a registered class by its name in a config."""
    for node in vars(mmvireid.registry).values():
        if isinstance(node, Registry) and (found := node.get(name)) is not None:
            return found
    raise KeyError(name)


def accepts(kind, argument):
    """Tell whether a class, or one it inherits from, takes an argument."""
    return any(argument in inspect.signature(base.__init__).parameters for base in kind.__mro__)


def known_key(cfg, key):
    """Tell whether a dotted key is in a config, or is an argument of a class in it."""
    if key in FREE_KEYS:
        return True
    node = cfg
    for part in key.split('.'):
        if node is None:  # switched off in this config
            return False
        if isinstance(node, list):
            if not (part.isdigit() and int(part) < len(node)):
                return False
            node = node[int(part)]
        elif part in node:
            node = node[part]
        else:
            return 'type' in node and accepts(class_of(node['type']), part)
    return True


@cache
def all_configs():
    configs = [Config.fromfile(path) for path in sorted(ROOT.glob('configs/*/*_r*.py'))
               if not stage_files(path)]
    for cfg in configs:
        apply_options(cfg, {})
    return configs


@each_document
def test_keys_of_configs_exist(document):
    text = present(re.sub(r'```.*?```', '', document.read_text(), flags=re.DOTALL))
    first = ('auto_scale_lr|default_hooks|model|optim_wrapper|param_scheduler|randomness|'
             'train_cfg|test_dataloader|test_evaluator|train_dataloader|val_dataloader|'
             'val_evaluator')
    keys = set(re.findall(rf'`((?:{first})(?:\.\w+)+)(?:=[^`]*)?`', text))
    for key in keys:
        assert any(known_key(cfg, key) for cfg in all_configs()), key


@pytest.fixture(scope='module')
def scratch(tmp_path_factory, tiny_sysu):
    """A folder with the files of the README's example, the configs and a dataset."""
    folder = tmp_path_factory.mktemp('reader')
    (folder / 'configs').symlink_to(ROOT / 'configs')
    (folder / 'data').mkdir()
    (folder / 'data' / 'SYSU-MM01').symlink_to(tiny_sysu)
    for mark, name, text in blocks(ROOT / 'README.md', 'python'):
        if mark == 'file':
            (folder / name).write_text(text)
    return folder


@each_document
def test_python_is_executed(document, scratch, monkeypatch):
    """One block after the other, as a reader types them."""
    monkeypatch.chdir(scratch)
    names = {}
    for mark, value, text in blocks(document, 'python'):
        if mark == 'inherits':
            (scratch / 'child.py').write_text(f"_base_ = ['{value}']\n{text}")
            child = Config.fromfile(scratch / 'child.py')
            apply_options(child, {})
            child.model.backbone.init_cfg = None
            METRICS.build(child.test_evaluator)
            model = MODELS.build(child.model).eval()
            with torch.no_grad():
                pooled = model.extract_feat(torch.rand(2, 3, 64, 32), torch.tensor([0, 1]))
                model.head.predict(pooled)
        elif mark == '':
            exec(compile(text, str(document), 'exec'), names)


def test_the_clustering_example_prints_what_its_page_says(capsys):
    page = ROOT / 'docs/en/clustering.md'
    (_, _, text), = blocks(page, 'python')
    exec(compile(text, str(page), 'exec'), {})
    assert capsys.readouterr().out.split() == (
        re.search(r'It prints `([\d ]+)`', page.read_text())[1].split())


def test_readme_names_the_rows_of_the_demo():
    spec = importlib.util.spec_from_file_location('demo_tool', ROOT / 'tools/misc/demo.py')
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    text = (ROOT / 'README.md').read_text()
    table = re.search(r'^\| \| Rank-1 .*?\n\n', text, re.MULTILINE | re.DOTALL)[0]
    rows = [line.split(' | ')[0].strip('| ') for line in table.splitlines()[2:] if line]
    assert rows == ['untrained network', *demo.NAMES.values()]
    metrics = dict.fromkeys(('R1', 'R5', 'R10', 'R20', 'mAP', 'mINP'), 0.0)
    printed = demo.format_table(dict.fromkeys(rows, metrics)).splitlines()[0]
    assert printed.split() == table.splitlines()[0].replace('|', ' ').split()


def test_a_loss_of_your_own_in_20_lines(scratch, monkeypatch):
    files = {name: text for mark, name, text in blocks(ROOT / 'README.md', 'python') if mark}
    assert set(files) == {'my_loss.py', 'my_config.py'}
    lines = [line for text in files.values() for line in text.splitlines() if line.strip()]
    assert len(lines) <= 20

    monkeypatch.syspath_prepend(scratch)  # as PYTHONPATH=. does
    cfg = Config.fromfile(scratch / 'my_config.py')
    head = MODELS.build(cfg.model.head)
    embeddings = torch.tensor([[0., 0.], [2., 0.], [1., 5.], [1., 5.]])
    # Identity 0 lies one away from its mean in each image, identity 1 on it.
    assert head.metric_loss(embeddings, torch.tensor([0, 0, 1, 1])) == pytest.approx(0.1 * 0.5)

    ids = torch.arange(8).repeat_interleave(4).repeat(2)
    modality = torch.arange(2).repeat_interleave(32)
    pooled = torch.rand(64, cfg.model.head.in_channels, requires_grad=True)
    info = BatchInfo(modality=modality, label=ids)
    losses = head.loss(pooled, info)
    assert losses['loss_metric'] > 0
    losses['loss_metric'].backward()
    assert torch.isfinite(pooled.grad).all()
    plain = MODELS.build(dict(
        type='BNNeckHead', num_classes=8, in_channels=pooled.shape[1],
        metric_loss=cfg.model.head.metric_loss))
    torch.testing.assert_close(
        plain.loss(pooled, info)['loss_metric'], losses['loss_metric'])


def test_readme_shows_the_demo_as_it_is(parse):
    """The commands without make draw the demo's data and test its last epoch."""
    calls = {call[0].name: call for words in reversed(commands(ROOT / 'README.md'))
             if (call := tool_call(words)) is not None and 'my_config.py' not in words}
    cfg = Config.fromfile(ROOT / 'configs/cift/cift_r18_demo.py')
    drawn, wanted = parse(*calls['make_synthetic.py']), cfg.demo_data
    assert drawn.out == cfg.data_root
    assert {key: getattr(drawn, key) for key in wanted} == {
        key: list(value) if isinstance(value, (list, tuple)) else value
        for key, value in wanted.items()
    }
    tested = parse(*calls['test.py'])
    assert Path(tested.checkpoint).name == f'epoch_{cfg.train_cfg.max_epochs}.pth'


def test_readme_shows_the_published_numbers_of_the_methods_pages():
    numbers = set(re.findall(r'\d+\.\d+ / \d+\.\d+', (ROOT / 'README.md').read_text()))
    pages = ''.join(path.read_text() for path in ROOT.glob('configs/*/README.md'))
    assert numbers
    assert all(pair in pages for pair in numbers)


def test_an_associator_of_your_own(scratch, monkeypatch):
    """The example joins the two modalities of each person, and its config uses it."""
    page = ROOT / 'docs/en/unsupervised.md'
    for mark, name, text in blocks(page, 'python'):
        if mark == 'file':
            (scratch / name).write_text(text)
    monkeypatch.syspath_prepend(scratch)
    cfg = Config.fromfile(scratch / 'my_unsupervised_config.py')
    labeller = HOOKS.build(cfg.default_hooks.pseudo_labels).labellers['cross']
    people, modality = np.repeat(np.arange(6), 10), np.tile(np.repeat([0, 1], 5), 6)
    features = torch.eye(8)[people] + 0.1 * torch.eye(8)[6 + modality]
    labels = people + 6 * modality
    labels[:3] = -1
    images = ImageSet(dict(base=features), identity=np.full(60, -1), camera=modality + 1,
                      modality=modality, sample_idx=np.arange(60))
    match = labeller.associate(images, labels)
    assert match.visible_to_infrared.tolist() == match.infrared_to_visible.tolist() == [
        0, 1, 2, 3, 4, 5]
    found = labeller.from_clusters(images, labels, epoch=0)
    assert (found.labels[:3] == -1).all()
    assert (found.labels[3:] == people[3:]).all()
    assert len(found.prototypes['shared'].centroids) == 6
