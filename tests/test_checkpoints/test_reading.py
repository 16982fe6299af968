"""Checkpoint files of strangers: nothing in them is executed, at no door."""

import io
import os
import pickle
import re
import runpy
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader

from mmvireid.apis import VIReIDInferencer
from mmvireid.checkpoints import (
    check_checkpoint,
    convert_checkpoint,
    read_checkpoint,
    read_for_engine,
)
from mmvireid.compat import checkpoints_read_by
from mmvireid.config import load_config
from mmvireid.utils.errors import CheckpointError


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path), )


class Disguised(Payload):
    """The same, by a function of Python itself."""

    def __reduce__(self):
        return exec, (f'import os; os.mkdir({str(self.path)!r})', )


FORMATS = {
    'zip': torch.save,
    'old': lambda content, path: torch.save(
        content, path, _use_new_zipfile_serialization=False),
    'pickle': lambda content, path: Path(path).write_bytes(pickle.dumps(content)),
    'pickle2': lambda content, path: Path(path).write_bytes(pickle.dumps(content, protocol=2)),
}


@pytest.fixture(scope='session')
def trained(tiny_config, tmp_path_factory):
    """Work directory of a real training of one epoch, with averaged weights."""
    work_dir = tmp_path_factory.mktemp('trained')
    cfg = load_config(tiny_config, {'train_cfg.max_epochs': 1}, str(work_dir))
    cfg.custom_hooks = [dict(type='EMAHook')]
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.pop('last_and_best')
    Runner.from_cfg(cfg).train()
    return work_dir


@pytest.fixture
def traps(trained, tmp_path):
    """Files with a payload, in all formats: alone, and beside the weights of a training."""
    files = []
    for kind in (Payload, Disguised):
        payload = kind(tmp_path / 'executed')
        full = torch.load(trained / 'epoch_1.pth', weights_only=False)
        for name, save in FORMATS.items():
            for what, content in (('alone', payload), ('beside', {**full, 'extra': payload})):
                files.append(tmp_path / f'{kind.__name__}_{name}_{what}.pth')
                save(content, files[-1])
    return files


def refuse(traps, use):
    """Check that every trap is one sentence at a door, and that nothing was executed."""
    for file in traps:
        with pytest.raises(CheckpointError) as error:
            use(file)
        assert not (file.parent / 'executed').exists(), file
        assert re.search('execute anything|plain pickle', str(error.value)), file
        assert 'convert_checkpoint.py' in str(error.value)


def test_reading_executes_nothing(traps):
    refuse(traps, read_checkpoint)
    refuse(traps, check_checkpoint)
    refuse(traps, read_for_engine)
    # The traps are real: reading without protection springs them.
    pickle.loads(pickle.dumps(Payload(traps[0].parent / 'executed')))
    assert (traps[0].parent / 'executed').exists()


def started(tiny_config, work_dir, load_from=None, resume=False, init=None, epochs=2):
    """Build a Runner as a script does, without our command line."""
    cfg = load_config(tiny_config, {'train_cfg.max_epochs': epochs}, str(work_dir))
    cfg.custom_hooks = [dict(type='EMAHook')]
    cfg.load_from, cfg.resume = load_from and str(load_from), resume
    cfg.model.backbone.init_cfg = init
    return Runner.from_cfg(cfg)


@pytest.mark.slow
def test_no_door_of_the_library_executes(traps, tiny_config, tmp_path):
    """Every way by which a Runner or an inferencer comes to a file."""
    traps = traps[1:6:2]  # beside the weights, in each format
    refuse(traps, lambda file: VIReIDInferencer(tiny_config, file, 'cpu'))
    runner = started(tiny_config, tmp_path / 'work')

    def train(load_from=None, resume=False, init=None, last=''):
        runner._load_from, runner._resume = load_from and str(load_from), resume
        runner.model.backbone.init_cfg = init
        (tmp_path / 'work' / 'last_checkpoint').write_text(last)
        runner.train()

    def pretrained(kind):
        return lambda file: train(init=dict(type=kind, checkpoint=str(file)))

    refuse(traps, pretrained('Pretrained'))
    refuse(traps, pretrained('mmengine.Pretrained'))
    refuse(traps, train)
    refuse(traps, lambda file: train(file, resume=True))
    refuse(traps, lambda file: train(resume=True, last=str(file)))

    def test(file):
        runner._load_from, runner._resume = str(file), False
        runner.test()

    refuse(traps, test)


@pytest.fixture
def tool(repo_root, monkeypatch, capfd):
    """Run a tool's main and give back what it printed to stderr."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(repo_root / 'tools' / name), run_name='__main__')
        assert stop.value.code == 1
        return capfd.readouterr().err

    return run


@pytest.mark.slow
def test_no_command_line_executes(tool, traps, tiny_config, tmp_path):
    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    for file in traps[1:6:2]:
        (work_dir / 'last_checkpoint').write_text(str(file))
        there = ('--work-dir', work_dir)
        for command in (
                ('train.py', tiny_config, *there, '--resume', file),
                ('train.py', tiny_config, *there, '--resume'),
                ('train.py', tiny_config, '--work-dir', tmp_path / 'new', '--cfg-options',
                 f'load_from={file}'),
                ('test.py', tiny_config, file, *there),
                ('search.py', tiny_config, file, tmp_path, tmp_path),
                ('extract_features.py', tiny_config, file, tmp_path, '--out',
                 tmp_path / 'f.npz'),
                ('deployment/export_onnx.py', tiny_config, file, '--out', tmp_path / 'm.onnx'),
                ('model_converters/publish_model.py', tiny_config, file)):
            printed = tool(*command)
            assert not (tmp_path / 'executed').exists(), command
            assert printed.count('Error: ') == 1, (command, printed)
            assert 'Traceback' not in printed


@pytest.mark.slow
def test_text_in_a_checkpoint_is_not_executed(trained, tiny_config, tmp_path):
    """MMEngine's Runner executes ``meta['config']`` when it resumes."""
    content = torch.load(trained / 'epoch_1.pth', weights_only=False)
    content['meta']['config'] = f'import os\nos.mkdir({str(tmp_path / "executed")!r})\n'
    torch.save(content, tmp_path / 'epoch_1.pth')
    started(tiny_config, tmp_path, tmp_path / 'epoch_1.pth', resume=True).train()
    assert (tmp_path / 'epoch_2.pth').is_file()
    assert not (tmp_path / 'executed').exists()


@pytest.mark.slow
def test_a_checkpoint_of_a_training_goes_on_at_every_door(trained, tiny_config, tmp_path):
    file = tmp_path / 'epoch_1.pth'
    FORMATS['old'](torch.load(trained / 'epoch_1.pth', weights_only=False), file)
    resumed = started(tiny_config, tmp_path / 'a', file, resume=True)
    resumed.train()
    assert resumed.epoch == 2
    hub = read_checkpoint(tmp_path / 'a' / 'epoch_2.pth')['message_hub']
    history = hub['log_scalars']['train/loss']
    assert type(history) is HistoryBuffer
    assert len(history.data[0]) == 6  # three steps an epoch
    assert history.statistics('mean', 2) == history.data[0][-2:].mean()

    file = trained / 'epoch_1.pth'
    init = dict(type='Pretrained', checkpoint=str(file), prefix='backbone.trunk')
    runner = started(tiny_config, tmp_path / 'b', file, init=init, epochs=1)
    runner.train()
    runner.test()
    VIReIDInferencer(tiny_config, file, 'cpu')


def test_what_a_file_may_hold(tmp_path):
    """NumPy's plain types come back as they were; a log's functions are not taken over."""
    content = dict(
        state_dict=OrderedDict(w=torch.ones(2)), scalar=np.float32(1.5), flag=np.bool_(True),
        array=np.arange(6, dtype=np.int16).reshape(2, 3), text=np.array(['a', 'bc']),
        when=np.datetime64('2020-01-01'), log=HistoryBuffer([1., 2.], [1, 1]))
    content['log']._statistics_methods = {'mean': torch.Tensor}
    torch.save(content, tmp_path / 'x.pth')
    found = read_checkpoint(tmp_path / 'x.pth')
    assert found['scalar'] == 1.5
    assert found['flag']
    assert found['when'] == content['when']
    np.testing.assert_array_equal(found['array'], content['array'])
    np.testing.assert_array_equal(found['text'], content['text'])
    assert found['log'].statistics('mean') == 1.5
    assert HistoryBuffer._statistics_methods['mean'] is HistoryBuffer.mean
    torch.save(dict(array=np.array([Payload(tmp_path / 'executed')], dtype=object)),
               tmp_path / 'y.pth')
    with pytest.raises(CheckpointError, match='execute anything'):
        read_checkpoint(tmp_path / 'y.pth')


@pytest.mark.parametrize('content', [b'', b'text', pickle.dumps(3)[:3], b'PK\x03\x04' + bytes(99)])
def test_a_broken_file_is_one_sentence(content, tmp_path):
    (tmp_path / 'x.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match='x.pth" is (not a complete|a plain pickle)'):
        read_checkpoint(tmp_path / 'x.pth')


def test_a_run_gives_mmengine_its_reading_back():
    """In whatever order runs end: one that failed may be taken apart late."""
    before = CheckpointLoader._schemes
    first, second = (checkpoints_read_by(read_for_engine) for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert list(CheckpointLoader._schemes) == ['']
    second.__exit__(None, None, None)
    assert CheckpointLoader._schemes is before


def test_conversion_keeps_weights_and_says_what_it_leaves_out(tmp_path):
    content = dict(
        net=torch.nn.Linear(2, 3), mAP=np.float64(0.5), args=Config(dict(lr=1)), epoch=3,
        opts=[dict(lr=0.1), Payload(tmp_path / 'a')])
    torch.save(content, tmp_path / 'old.pth')
    with pytest.raises(CheckpointError, match='convert_checkpoint.py'):
        read_checkpoint(tmp_path / 'old.pth')
    left_out = convert_checkpoint(tmp_path / 'old.pth', tmp_path / 'new.pth')
    assert (tmp_path / 'a').exists()  # whoever trusts a file executes it
    assert left_out == ['args (Config)']
    found = read_checkpoint(tmp_path / 'new.pth')
    assert torch.equal(found['net']['weight'], content['net'].weight)
    assert (found['mAP'], found['epoch'], found['opts']) == (0.5, 3, [dict(lr=0.1), None])


def test_conversion_asks_for_trust(tool, trained, tmp_path):
    printed = tool('model_converters/convert_checkpoint.py', trained / 'epoch_1.pth', '--out',
                   tmp_path / 'new.pth')
    assert 'give --trust' in printed
    assert not (tmp_path / 'new.pth').exists()


def test_a_pickle_of_old_code_can_be_converted(tmp_path):
    buffer = io.BytesIO()
    pickle.dump(dict(weight=np.ones(3), what=Config(dict(a=1))), buffer)
    (tmp_path / 'old.pkl').write_bytes(buffer.getvalue())
    assert convert_checkpoint(tmp_path / 'old.pkl', tmp_path / 'new.pth') == ['what (Config)']
    np.testing.assert_array_equal(read_checkpoint(tmp_path / 'new.pth')['weight'], np.ones(3))
