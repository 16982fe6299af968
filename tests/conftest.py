"""Fixtures shared by all tests."""

import contextlib
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from commands import FORK_SERVER, ROOT, Command, free_port
from reference.golden import SMALL_CASES, GoldenArrays

# Many small operations: one thread is fastest, and results do not depend on the machine.
os.environ.setdefault('OMP_NUM_THREADS', '1')


def pytest_addoption(parser):
    parser.addoption(
        '--golden', metavar='DIR', default=os.environ.get('MMVIREID_GOLDEN'),
        help='folder of results of released code that the tests marked golden compare with; '
        'else $MMVIREID_GOLDEN, else ../shared/golden where it is')


def pytest_configure(config):
    given = config.getoption('golden')
    if given and not any((Path(given) / f'{name}.npz').is_file() for name in SMALL_CASES):
        raise pytest.UsageError(
            f'"{given}" has none of {", ".join(f"{name}.npz" for name in SMALL_CASES)}: give the '
            'folder of the results to compare with')


def pytest_generate_tests(metafunc):
    """Run tests of golden data on a small case of our own, and on released results if any."""
    if 'golden' in metafunc.fixturenames:
        name, = metafunc.definition.get_closest_marker('golden').args
        sources = {'small': SMALL_CASES[name]}
        folder = metafunc.config.getoption('golden') or ROOT.parent / 'shared' / 'golden'
        path = Path(folder) / f'{name}.npz'
        if path.is_file():
            sources['released'] = partial(np.load, path)
        metafunc.parametrize(
            'golden_arrays', sources.values(), ids=sources, indirect=True, scope='module')


def pytest_collection_modifyitems(items):
    """Run what starts processes or trains a network last."""
    items.sort(key=lambda item: item.get_closest_marker('slow') is not None)


@pytest.fixture(scope='session', autouse=True)
def engine_logger():
    """Let MMEngine's logger have a stream that outlives the test which first logs."""
    from mmengine.logging import MMLogger
    MMLogger.get_current_instance()


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope='module')
def golden_arrays(request):
    """The file that the module's marker names; all of it must be compared."""
    arrays, failed = GoldenArrays(request.param()), request.session.testsfailed
    yield arrays
    every_test = {name for name in vars(request.module) if name.startswith('test_')}
    if arrays.readers == every_test and request.session.testsfailed == failed:
        unused = request.node.get_closest_marker('golden').kwargs.get('unused', ())
        unread = set(arrays) - arrays.read - set(unused)
        assert not unread, f'no test compares {sorted(unread)}'


@pytest.fixture
def golden(request, golden_arrays):
    """Arrays that released code gave, or a small case of our own in the same form."""
    golden_arrays.readers.add(request.node.originalname)
    return golden_arrays


@pytest.fixture(scope='session')
def tiny_sysu(tmp_path_factory):
    """A synthetic dataset of 12 people in the layout of SYSU-MM01."""
    from mmvireid.datasets.synthetic import Request, make_synthetic
    out = tmp_path_factory.mktemp('data') / 'sysu'
    make_synthetic(
        Request('sysu', ids=12, test_ids=4, images_per_camera=4, size=(48, 24)), out, quiet=True)
    return out


@pytest.fixture(scope='session')
def tiny_config(tmp_path_factory, tiny_sysu):
    """A config that trains CIFT on the tiny dataset in seconds."""
    path = tmp_path_factory.mktemp('configs') / 'cift_tiny.py'
    path.write_text(f'''
_base_ = ['{ROOT}/configs/cift/cift_r18_demo.py']
data_root = '{tiny_sysu}'
model = dict(
    backbone=dict(trunk=dict(base_channels=8, stem_channels=8)),
    head=dict(num_classes=8, in_channels=64, batch_size=16))
load = dict(type='LoadReIDImage', size=(48, 24))
pack = dict(type='PackReIDInputs')
train_dataloader = dict(
    batch_size=16, num_workers=0,
    dataset=dict(data_root=data_root, pipeline=[
        load, dict(type='PadRandomCrop', padding=4), dict(type='RandomFlip', prob=0.5),
        dict(type='RandomErasing', prob=0.5, fill=(125.3, 123.0, 113.9)), pack]),
    sampler=dict(num_ids=4, num_visible=2, num_infrared=2, num_steps=3))
test_dataloader = dict(
    batch_size=32, num_workers=0, dataset=dict(data_root=data_root, pipeline=[load, pack]))
val_dataloader = test_dataloader
val_evaluator = dict(num_trials=2)
test_evaluator = dict(num_trials=2)
train_cfg = dict(max_epochs=2, val_interval=1)
''')
    return path


@pytest.fixture
def forked_workers(monkeypatch):
    """Fork workers from a process that has done the imports, instead of starting them anew."""
    monkeypatch.setattr('multiprocessing.get_context', lambda method: FORK_SERVER)


@pytest.fixture
def start_tool(tmp_path_factory):
    """Start command lines as a user does, in a new interpreter; kill them after the test."""
    with contextlib.ExitStack() as stack:

        def start(*command):
            folder = tmp_path_factory.mktemp('output')
            return stack.enter_context(Command([sys.executable, *command], folder, fresh=True))

        yield start


@pytest.fixture(scope='session')
def run_tool(tmp_path_factory):
    """Run a command line as a user does; give back the finished process.

    Unless it is asked for a fresh process, or given options of the interpreter or another
    program, it forks from a process that has done the imports.
    """

    def run(*command, cwd=ROOT, expect=0, program=sys.executable, fresh=False, **environment):
        folder = tmp_path_factory.mktemp('output')
        if fresh or program != sys.executable or str(command[0]).startswith('-'):
            fresh, command = True, (program, *command)
        with Command(command, folder, fresh, cwd, environment) as process:
            finished = process.finish()
        assert finished.returncode == expect, finished.stdout[-4000:] + finished.stderr[-4000:]
        return finished

    return run


@pytest.fixture
def run_on_two(tmp_path_factory):
    """Run a tool on two processes, as a launcher starts them."""

    def run(*command):
        port = free_port()
        with contextlib.ExitStack() as stack:
            ranks = [
                stack.enter_context(Command(
                    [*command, '--launcher', 'pytorch'], tmp_path_factory.mktemp('output'),
                    environment=dict(
                        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2',
                        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))))
                for rank in range(2)
            ]
            # Where one has failed, the other would wait for it.
            for rank in ranks:
                rank.wait(until=lambda: any(r.code not in (None, 0) for r in ranks))
            assert [rank.code for rank in ranks] == [0, 0], ''.join(
                rank.output()[-4000:] for rank in ranks)

    return run


def write_tiny_stage(path, data_root, demo, labellers):
    """Write a config that trains a stage of a demo without identities in seconds.

    ``labellers`` says, in a config's words, who shall cluster by ``jaccard``.
    """
    path.write_text(f'''
_base_ = ['{ROOT}/configs/{demo}']
data_root = '{data_root}'
model = dict(
    backbone=dict(trunk=dict(base_channels=8, stem_channels=8), init_cfg=None),
    head=dict(in_channels=64))
load = dict(type='LoadReIDImage', size=(48, 24))
flip = dict(type='RandomFlip', prob=0.5)
pack = dict(type='PackReIDInputs')
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        data_root=data_root,
        pipeline=[load, dict(type='PadRandomCrop', padding=4), flip, pack]),
    sampler=dict(
        num_visible_clusters=2, num_infrared_clusters=2, num_instances=4, num_steps=3))
test_dataloader = dict(
    batch_size=32, dataset=dict(data_root=data_root, pipeline=[load, pack]))
val_dataloader = test_dataloader
val_evaluator = dict(num_trials=2)
test_evaluator = dict(num_trials=2)
train_cfg = dict(max_epochs=2, val_interval=100)
optim_wrapper = dict(optimizer=dict(lr=3.5e-4))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=10)]
jaccard = dict(eps=0.5, min_samples=2, neighbors=dict(k1=8, k2=3))
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(max_keep_ckpts=-1),
    pseudo_labels=dict(
        extractor=dict(pipeline=[load, pack]),
        labellers=dict({labellers})))
''')


@pytest.fixture(scope='session')
def tiny_bmil_config(tmp_path_factory, tiny_sysu):
    """A chain that trains both stages of BMIL on the tiny dataset in seconds.

    Beside it lie the configs of its stages, ``bmil_tiny_intra.py`` and ``bmil_tiny_cross.py``.
    """
    folder = tmp_path_factory.mktemp('configs')
    write_tiny_stage(
        folder / 'bmil_tiny_intra.py', tiny_sysu, 'bmil/bmil_r18_demo_intra.py',
        'intra=dict(partition=dict(visible=jaccard, infrared=jaccard)), '
        'cross=dict(partition=dict(clusterer=jaccard))')
    (folder / 'bmil_tiny.py').write_text("stages = ['bmil_tiny_intra.py', 'bmil_tiny_cross.py']")
    (folder / 'bmil_tiny_cross.py').write_text('''
_base_ = ['./bmil_tiny_intra.py']
train_dataloader = dict(
    dataset=dict(pipeline=[_base_.load, _base_.flip, _base_.pack]),
    sampler=dict(turns=['intra', 'cross']))
''')
    return folder / 'bmil_tiny.py'


@pytest.fixture(scope='session')
def tiny_matched_config(tmp_path_factory, tiny_sysu):
    """Write a config that trains a second stage, whose clusters are matched, in seconds."""
    folder = tmp_path_factory.mktemp('configs')

    def write(demo):
        path = folder / Path(demo).name
        write_tiny_stage(path, tiny_sysu, demo,
                         'intra=dict(partition=dict(visible=jaccard, infrared=jaccard))')
        return path

    return write
