"""The command lines of the documentation, run as a reader types them.

They run in a folder that has what the text supposes: the configs, with small networks and short
schedules; small synthetic datasets under the names of the real ones; weights where a command names
some. Left out is what needs another machine, or is this very run: see :data:`ELSEWHERE`.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from commands import ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope
from test_readme import DOCUMENTS, blocks, commands

from mmvireid.config import load_config, stage_files
from mmvireid.registry import MODELS

pytestmark = pytest.mark.slow

#: First words of what is not run here -> where it is held instead.
ELSEWHERE = {
    ('pip', ): 'CI installs from a clean checkout',
    ('make', ): 'make test is this run, make docs in test_docs_build, the demos take minutes',
    ('python3', '-m', 'venv'): 'CI, by way of make',
    ('source', '.venv'): 'CI, by way of make',
    ('ln', ): 'the folders are there',
    ('mkdir', ): 'the folders are there',
    ('python', 'tools/run_trials.py'): 'test_run_trials, and BEFORE a page that needs results',
    ('bash', 'tools/dist_'): 'test_train_and_test, with two processes',
    ('bash', 'tools/slurm_'): 'test_slurm: there is no Slurm here',
}
#: Methods whose own page is run: the pages of the others have the same lines with other configs,
#: which test_configs builds and test_engine trains.
METHODS = {'cift', 'bmil'}
#: Tool -> options that make it quick; the last of two counts.
SMALLER = {
    'make_synthetic.py': '--ids 12 --test-ids 4 --images-per-camera 4 --size 48 24',
    'run_trials.py': '--trials 1',
    'benchmark.py': '--warmup 1 --batches 2 --repeat 1',
}
#: What a page supposes that its reader has done before.
BEFORE = {
    'analysis.md': [
        f'python tools/{line}'
        for method, config in (('agw', 'configs/agw/agw_r50_81e_sysu.py'),
                               ('cift', 'configs/cift/cift_r50_120e_sysu.py'))
        for line in (f'train.py {config} --work-dir work_dirs/{method}',
                     f'test.py {config} --work-dir work_dirs/{method}/test '
                     f'--out work_dirs/{method}/results.json')
    ] + ['python tools/run_trials.py configs/cift/cift_r50_120e_regdb.py'],
}


def shrink(cfg):
    """Make a config train in seconds."""
    trunk = cfg.model.backbone.trunk
    trunk.update(base_channels=8, stem_channels=8)
    cfg.model.backbone.init_cfg = None
    cfg.model.head.in_channels = 64 if trunk.depth == 18 else 256
    cfg.train_cfg.max_epochs = 1
    cfg.train_cfg.val_interval = 1
    if cfg.train_dataloader.sampler.type in ('CrossModalityChunkSampler', 'ClusterSampler'):
        cfg.train_dataloader.sampler.num_steps = 1
    if 'demo_data' in cfg:
        cfg.demo_data.update(ids=12, test_ids=4, images_per_camera=4, size=(48, 24))
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        if 'num_trials' in evaluator:
            evaluator.num_trials = 1
    for node in nodes(cfg._cfg_dict):
        kind = node.get('type')
        if kind == 'LoadReIDImage':
            node['size'] = (48, 24)
        elif kind == 'JaccardDBSCAN':
            node['min_samples'] = 2
            node['neighbors'].update(k1=8, k2=3)
        if 'num_workers' in node:
            node['num_workers'] = 0
    return cfg


def named_configs():
    """List the configs that the pages name, and the stages of those that are chains."""
    text = '\n'.join(document.read_text() for document in lines_by_page())
    found, wanted = set(), [ROOT / name for name in re.findall(r'configs/\w+/[\w-]+\.py', text)]
    while wanted:
        path = wanted.pop()
        if path not in found:
            found.add(path)
            wanted += [path.parent / stage for stage in stage_files(path)]
    return sorted(found)


def nodes(value):
    """Walk through all dicts of a config."""
    if isinstance(value, dict):
        yield value
    for child in (value.values() if isinstance(value, dict) else
                  value if isinstance(value, (list, tuple)) else ()):
        yield from nodes(child)


@pytest.fixture(scope='module')
def template(tmp_path_factory):
    """A folder to copy for each page."""
    from mmvireid.datasets.synthetic import Request, make_synthetic
    folder = tmp_path_factory.mktemp('template')
    for path in named_configs():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if stage_files(path):
            shutil.copy(path, target)
        else:
            shrink(Config.fromfile(path)).dump(target)
    (folder / 'tools').symlink_to(ROOT / 'tools')
    data = folder / 'data'
    for layout, name in (('sysu', 'SYSU-MM01'), ('regdb', 'RegDB'), ('llcm', 'LLCM')):
        request = Request(layout, ids=16, test_ids=4, images_per_camera=4, size=(48, 24))
        make_synthetic(request, data / name, quiet=True)
    shutil.copytree(data / 'SYSU-MM01', data / 'own')
    lines = [(f'{path.relative_to(data / "own")},{int(path.parent.name)},{path.parts[-3][3]},'
              f'{"infrared" if path.parts[-3][3] in "36" else "visible"}')
             for path in sorted((data / 'own').glob('cam*/*/*.jpg'))]
    for name, kept in (('train', 'visible infrared'), ('test', 'visible infrared'),
                       ('gallery', 'visible'), ('query', 'infrared')):
        chosen = [line for line in lines if line.rsplit(',', 1)[1] in kept.split()]
        (data / 'own' / f'{name}.csv').write_text('\n'.join(chosen) + '\n')
    return folder


def provide_weights(words, folder):
    """Save random weights where a command names some that are not there."""
    for config, checkpoint in zip(words, words[1:]):
        path = folder / checkpoint
        if config.endswith('.py') and checkpoint.endswith('.pth') and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            init_default_scope('mmvireid')
            model = MODELS.build(load_config(folder / config).model)
            torch.save(dict(state_dict=model.state_dict()), path)


def lines_by_page():
    """Give page -> command lines to run; what several pages say is run for the first."""
    found, seen = {}, set()
    for document in DOCUMENTS:
        folder = document.parent
        if folder.parent == ROOT / 'configs' and folder.name not in METHODS:
            continue
        for words in commands(document):
            text = ' '.join(words)
            if not any(text.startswith(' '.join(first)) for first in ELSEWHERE):
                assert words[0] == 'python', words
                if text not in seen:
                    found.setdefault(document, []).append(words)
                seen.add(text)
    return found


@pytest.mark.parametrize(('document', 'lines'), lines_by_page().items(),
                         ids=[str(path.relative_to(ROOT)) for path in lines_by_page()])
def test_commands_run(document, lines, template, tmp_path, run_tool):
    folder = tmp_path / 'reader'
    shutil.copytree(template, folder, symlinks=True)
    for page in {ROOT / 'README.md', document}:
        for mark, name, text in blocks(page, 'python'):
            if mark == 'file':
                (folder / name).write_text(text)
    if 'make_synthetic.py' not in document.read_text():
        shutil.copytree(folder / 'data' / 'SYSU-MM01', folder / 'data' / 'synthetic_sysu')
    search_path = os.pathsep.join([str(folder), os.environ.get('PYTHONPATH', '')])
    for words in [line.split() for line in BEFORE.get(document.name, ())] + lines:
        words = [word.replace('/path/to/', 'data/') for word in words]
        tool = words[1].rsplit('/', 1)[1]
        provide_weights(words, folder)
        if tool == 'train.py' and '--resume' not in words:
            # A page shows several trainings of a config; who runs them all chooses other folders.
            place = (words[words.index('--work-dir') + 1] if '--work-dir' in words else
                     f'work_dirs/{Path(words[2]).stem}')
            shutil.rmtree(folder / place, ignore_errors=True)
        more = SMALLER.get(tool, '').split()
        print(*words)
        # The checker finds that small datasets are not the official ones.
        official = tool == 'check_dataset.py' and '--layout-only' not in words
        run_tool(*words[1:], *more, cwd=folder, expect=int(official), PYTHONPATH=search_path)
