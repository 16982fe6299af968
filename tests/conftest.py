"""Fixtures shared by all tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Many small operations: one thread is fastest, and results do not depend on the machine.
os.environ.setdefault('OMP_NUM_THREADS', '1')

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """Run what starts processes or trains a network last."""
    items.sort(key=lambda item: item.get_closest_marker('slow') is not None)


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope='session')
def golden_dir():
    """Folder of the reference results, or None where this checkout stands alone.

    Tests then run the same check on a small case of our own, computed by a naive
    reference implementation.
    """
    folder = ROOT.parent / 'shared' / 'golden'
    return folder if folder.is_dir() else None


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


@pytest.fixture(scope='session')
def run_tool():
    """Run a command line as a user does; give back the finished process."""

    def run(*command, cwd=None, expect=0, launcher=(), **environment):
        process = subprocess.run(
            [sys.executable, *launcher, *(str(part) for part in command)],
            cwd=cwd or ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300)
        assert process.returncode == expect, process.stdout[-4000:] + process.stderr[-4000:]
        return process

    return run
