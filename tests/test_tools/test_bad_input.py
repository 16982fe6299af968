"""What people get wrong, and the one sentence that each gets.

The command lines run in this process, as their ``main``; one of them also as a user
runs it.
"""

import errno
import os
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import OptimWrapper
from mmengine.visualization import Visualizer

from mmvireid import compat
from mmvireid.utils.files import write_error
from mmvireid.visualization import ReIDVisualizer

pytestmark = pytest.mark.slow


@pytest.fixture
def tool(repo_root, monkeypatch, capfd):
    """Run a tool's main and give back its exit code and what it printed to stderr."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        # MMEngine names these by config and second: a run in the same second would get the
        # logger of the last test, which writes to a stream that pytest has closed.
        for kind in (MMLogger, MessageHub, Visualizer, ReIDVisualizer):
            kind._instance_dict.clear()
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(repo_root / 'tools' / name), run_name='__main__')
        return stop.value.code, capfd.readouterr().err

    return run


def sentence(outcome):
    code, printed = outcome
    assert code == 1, printed
    assert 'Traceback' not in printed, printed
    lines = [line for line in printed.splitlines() if line.startswith('Error: ')]
    assert len(lines) == 1, printed
    return lines[0]


@pytest.fixture
def broken(tiny_config, tiny_sysu, tmp_path):
    """Write a config that changes the tiny one, with a copy of the data to break."""
    def make(change='', copy=False):
        root = tiny_sysu
        if copy:
            root = tmp_path / 'copy'
            shutil.copytree(tiny_sysu, root)
        path = tmp_path / 'broken.py'
        text = f"_base_ = ['{tiny_config}']\n"
        for loader in ('train', 'val', 'test'):
            text += f"{loader}_dataloader = dict(dataset=dict(data_root='{root}'))\n"
        path.write_text(text + change)
        return path, root

    return make


def test_a_file_that_is_no_config(tool, tiny_config, tmp_path):
    """A checkpoint in the place of the config, under its own name and under that of one."""
    checkpoint, disguised, accents = (tmp_path / name for name in ('x.pth', 'x.py', 'y.py'))
    torch.save(dict(state_dict={}), checkpoint)
    shutil.copy(checkpoint, disguised)
    accents.write_bytes("name = 'Zürich'\n".encode('latin-1'))
    for file, words in ((checkpoint, 'is no config file, their names end in .py'),
                        (disguised, 'no text in UTF-8'), (accents, 'no text in UTF-8')):
        for command in (('model_converters/publish_model.py', file, checkpoint),
                        ('train.py', file), ('misc/print_config.py', file)):
            assert words in sentence(tool(*command))


def test_missing_config(tool):
    assert 'there is no config file "nowhere.py"' in sentence(tool('train.py', 'nowhere.py'))


def test_misspelt_type(tool, broken, tmp_path):
    config, _ = broken("model = dict(head=dict(metric_loss=dict(type='TripletLos')))\n")
    line = sentence(tool('train.py', config, '--work-dir', tmp_path / 'out'))
    assert 'no model is called "TripletLos": did you mean "TripletLoss"?' in line
    assert 'custom_imports' in line


def test_a_part_without_what_it_needs(tool, broken, tmp_path):
    config, _ = broken("model = dict(head=dict(_delete_=True, type='CIFTHead'))\n")
    line = sentence(tool('train.py', config, '--work-dir', tmp_path / 'out'))
    assert line.startswith("Error: CIFTHead needs '")
    assert 'set it in the config' in line


def test_module_that_is_not_found(tool, broken, tmp_path):
    config, _ = broken("custom_imports = dict(imports=['my_missing_loss'])\n")
    line = sentence(tool('train.py', config, '--work-dir', tmp_path / 'out'))
    assert "No module named 'my_missing_loss'" in line or 'my_missing_loss' in line
    assert 'PYTHONPATH=. python' in line
    assert 'site-packages' not in line


def test_missing_dataset_as_a_user_sees_it(run_tool, broken, tmp_path):
    config, _ = broken('demo_data = None\n')
    process = run_tool('tools/train.py', config, '--work-dir', tmp_path, '--cfg-options',
                       f'data_root={tmp_path}/nothing', expect=1)
    line = sentence((1, process.stderr))
    assert f'{tmp_path}/nothing' in line


def test_identity_without_images(tool, broken, tmp_path):
    config, root = broken(copy=True)
    ids = root / 'exp' / 'train_id.txt'
    ids.write_text(ids.read_text().strip() + ',777')
    line = sentence(tool('train.py', config, '--work-dir', tmp_path / 'run'))
    assert 'identity 777' in line


@pytest.mark.parametrize('workers', [0, 1])
def test_truncated_jpeg(tool, broken, tmp_path, workers):
    config, root = broken(copy=True)
    config.write_text(config.read_text().replace(
        'train_dataloader = dict(', f'train_dataloader = dict(num_workers={workers}, '))
    for path in root.glob('cam*/*/*.jpg'):
        path.write_bytes(path.read_bytes()[:300])
    line = sentence(tool('train.py', config, '--work-dir', tmp_path / 'run'))
    assert '.jpg" cannot be decoded' in line


def test_queries_without_any_match(tool, broken, tmp_path):
    """Every visible test person is another one than every infrared test person."""
    config, root = broken(copy=True)
    test_ids = (root / 'exp' / 'test_id.txt').read_text().strip().split(',')
    for i, identity in enumerate(test_ids):
        for camera in ((3, 6) if i % 2 else (1, 2, 4, 5)):
            folder = root / f'cam{camera}' / f'{int(identity):04d}'
            if folder.is_dir():
                folder.rename(root / f'unused_{camera}_{identity}')
    line = sentence(tool('test.py', config, '--work-dir', tmp_path / 'run'))
    assert 'has a match' in line


def test_nan_loss_keeps_the_last_good_checkpoint(tool, broken, tmp_path):
    config, _ = broken()
    run = tmp_path / 'run'
    line = sentence(
        tool('train.py', config, '--work-dir', run, '--cfg-options',
             'optim_wrapper.optimizer.lr=1e18', 'train_cfg.max_epochs=3'))
    assert 'became NaN or infinite in epoch' in line
    for path in run.glob('*.pth'):
        torch.load(path, weights_only=False)


def test_broken_weights_do_not_replace_the_last_good_ones(tool, broken, tmp_path, monkeypatch):
    """The last step of an epoch breaks them: its loss was finite, and none comes after it."""
    config, _ = broken()
    update, steps = OptimWrapper.update_params, []

    def break_the_sixth(wrapper, *arguments, **options):
        update(wrapper, *arguments, **options)
        steps.append(wrapper)
        if len(steps) == 6:
            wrapper.optimizer.param_groups[0]['params'][0].data[0] = float('nan')

    monkeypatch.setattr(OptimWrapper, 'update_params', break_the_sixth)
    run = tmp_path / 'run'
    line = sentence(
        tool('train.py', config, '--work-dir', run, '--no-validate', '--cfg-options',
             'train_cfg.max_epochs=3', 'default_hooks.checkpoint.max_keep_ckpts=1'))
    assert 'became NaN or infinite in epoch 2, which is not saved' in line
    assert [path.name for path in run.glob('*.pth')] == ['epoch_1.pth']
    weights = torch.load(run / 'epoch_1.pth', weights_only=False)['state_dict']
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_a_full_disk_leaves_the_last_good_checkpoint(tool, broken, tmp_path, monkeypatch):
    """Only one is to be kept, and it is deleted after the next one is complete, not before."""
    config, _ = broken()
    write = compat.write_atomically

    def write_until_full(data, path):
        if Path(path).name == 'epoch_2.pth':
            raise write_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path)
        write(data, path)

    monkeypatch.setattr(compat, 'write_atomically', write_until_full)
    run = tmp_path / 'run'
    line = sentence(
        tool('train.py', config, '--work-dir', run, '--no-validate', '--cfg-options',
             'default_hooks.checkpoint.max_keep_ckpts=1'))
    assert 'epoch_2.pth" cannot be written (No space left on device)' in line
    assert [path.name for path in run.glob('*.pth')] == ['epoch_1.pth']
    assert (run / 'last_checkpoint').read_text() == str(run / 'epoch_1.pth')


def test_a_full_disk_leaves_the_old_results(tool, tmp_path, monkeypatch):
    """Whatever is written: here a picture of curves, and an error of a library's own file."""
    log, picture = tmp_path / 'scalars.json', tmp_path / 'curves.png'
    log.write_text('{"loss": 1.0, "step": 1}\n{"loss": 0.5, "step": 2}\n')
    picture.write_bytes(b'the old one')

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    command = (
        'analysis_tools/analyze_logs.py', 'plot_curve', log, '--keys', 'loss', '--out', picture)
    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        line = sentence(tool(*command))
    assert 'curves.png" cannot be written (No space left on device): free space' in line
    assert picture.read_bytes() == b'the old one'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['curves.png', 'scalars.json']

    monkeypatch.setattr('matplotlib.figure.Figure.savefig', lambda *_, **__: full(0))
    assert 'a file of results cannot be written (No space left' in sentence(tool(*command))


def test_checkpoint_of_another_architecture(tool, broken, tmp_path):
    config, _ = broken('model = dict(backbone=dict(trunk=dict(base_channels=4)))\n')
    other = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'backbone.trunk.conv1.weight': torch.zeros(9, 9)}), other)
    line = sentence(tool('test.py', config, other, '--work-dir', tmp_path / 'run'))
    assert 'was made by another model' in line


def test_half_a_checkpoint(tool, tiny_config, tmp_path):
    half = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict={'x': torch.zeros(1000)}), half)
    half.write_bytes(half.read_bytes()[:500])
    line = sentence(tool('test.py', tiny_config, half, '--work-dir', tmp_path / 'run'))
    assert 'is not a complete checkpoint' in line


def test_weights_alone_are_not_resumed(tool, tiny_config, tmp_path):
    from mmvireid.config import load_config
    from mmvireid.registry import MODELS
    weights = tmp_path / 'weights.pth'
    model = MODELS.build(load_config(tiny_config).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), weights)
    line = sentence(tool('train.py', tiny_config, '--work-dir', tmp_path / 'run', '--resume',
                         weights))
    assert 'cannot be resumed, it holds no optimizer' in line
    assert f'load_from={weights} instead of --resume' in line


def test_a_file_of_something_else_is_no_checkpoint(tool, tiny_config, tmp_path):
    torch.save([1, 2, 3], tmp_path / 'list.pth')
    line = sentence(tool('test.py', tiny_config, tmp_path / 'list.pth', '--work-dir',
                         tmp_path / 'run'))
    assert 'list.pth" holds no parameters by name' in line


def test_missing_checkpoint(tool, tiny_config, tmp_path):
    line = sentence(tool('test.py', tiny_config, 'no.pth', '--work-dir', tmp_path / 'run'))
    assert 'there is no checkpoint "no.pth"' in line


def test_unwritable_work_dir(tool, tiny_config, tmp_path):
    (tmp_path / 'file').write_text('')
    line = sentence(tool('train.py', tiny_config, '--work-dir', tmp_path / 'file' / 'run'))
    assert '(Not a directory): correct the access rights or choose another folder.' in line


def test_amp_without_a_gpu(tool, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    line = sentence(tool('train.py', tiny_config, '--work-dir', tmp_path, '--amp'))
    assert '--amp needs a GPU' in line


def test_unknown_setting(tool, tiny_config, tmp_path):
    line = sentence(tool('test.py', tiny_config, '--work-dir', tmp_path, '--protocol', 'outdoor'))
    assert 'choose from all_single' in line


@pytest.mark.parametrize(('name', 'option', 'words'), [
    ('visualization/report.py', '--topk', ()),
    ('visualization/browse_dataset.py', '--number', ()),
    ('visualization/vis_tsne.py', '--people', ()),
    ('search.py', '--top-k', ('gallery', 'query')),
])
def test_none_of_what_should_be_shown(tool, tiny_config, name, option, words):
    for wrong in ('0', '-1', 'x', '1.5'):
        code, printed = tool(name, tiny_config, 'epoch_1.pth', *words, f'{option}={wrong}')
        assert code == 2
        assert f'argument {option}: write a whole number from 1, not "{wrong}"' in printed


def test_a_setting_that_is_not_tested_cannot_be_explored(tool, tiny_config, tmp_path):
    torch.save(dict(state_dict={'x': torch.zeros(1)}), tmp_path / 'epoch_1.pth')
    assert 'cannot explore nonsense; the test has the settings all_single.' in sentence(
        tool('visualization/report.py', tiny_config, tmp_path / 'epoch_1.pth', '--work-dir',
             tmp_path, '--explore', 'nonsense'))


def test_more_people_than_the_head_knows(tool, broken, tmp_path):
    config, _ = broken('model = dict(head=dict(num_classes=3))\n')
    line = sentence(tool('train.py', config, '--work-dir', tmp_path / 'run'))
    assert 'set model.head.num_classes' in line


def test_a_batch_that_does_not_fit_the_counterfactual_slots(tool, broken, tmp_path):
    config, _ = broken('model = dict(head=dict(batch_size=64))\n')
    line = sentence(tool('train.py', config, '--work-dir', tmp_path / 'run'))
    assert "noise='slot' was built for batches of 64 rows, got 16" in line


@pytest.mark.parametrize(('option', 'words'), [
    ('num_ids=50', 'set model.head.num_classes'),
    ('trial=3', 'set randomness.seed'),
    ('rankings.cift.descriptor=base', 'the entries made from it'),
    ('train_dataloader.sampler.num_ids=3', '= 12 images a step, but'),
])
def test_overrides_that_cannot_work(tool, tiny_config, tmp_path, option, words):
    line = sentence(tool('train.py', tiny_config, '--work-dir', tmp_path, '--cfg-options', option))
    assert words in line


def test_results_that_cannot_be_written(tool, tiny_config, tmp_path):
    (tmp_path / 'file').write_text('')
    line = sentence(tool('test.py', tiny_config, '--work-dir', tmp_path, '--out',
                         tmp_path / 'file' / 'results.json'))
    assert 'results cannot be written to' in line
    line = sentence(tool('test.py', tiny_config, '--work-dir', tmp_path, '--out', tmp_path))
    assert 'which is a folder: name a file in it' in line


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_a_launcher_that_has_not_started_this_process(tool, tiny_config, tmp_path, monkeypatch,
                                                      launcher):
    for variable in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(variable, raising=False)
    line = sentence(tool('train.py', tiny_config, '--work-dir', tmp_path, '--launcher', launcher))
    assert f'--launcher {launcher} is for processes that' in line


def test_an_override_without_a_value(tool, tiny_config):
    code, printed = tool('train.py', tiny_config, '--cfg-options', 'verbose')
    assert code == 2
    assert 'write KEY=VALUE, not "verbose"' in printed


def test_batch_that_processes_cannot_share(tool, tiny_config, tmp_path):
    line = sentence(tool('run_trials.py', tiny_config, '--work-dir', tmp_path, '--gpus', '3'))
    assert 'num_ids=4 of a step cannot be divided among 3 processes' in line


def test_results_of_other_options_are_not_taken_for_these(tiny_config, tmp_path):
    from mmvireid.cli import claim_folder
    from mmvireid.config import load_config
    from mmvireid.utils.errors import ConfigError
    claim_folder(tmp_path, [load_config(tiny_config)], tta=False)
    claim_folder(tmp_path, [load_config(tiny_config)], tta=False)
    for cfg, tta in ((load_config(tiny_config), True),
                     (load_config(tiny_config, {'randomness.seed': 1}), False)):
        with pytest.raises(ConfigError, match='holds results of another config'):
            claim_folder(tmp_path, [cfg], tta=tta)


def test_a_copied_run_resumes_from_its_own_folder(tmp_path):
    from mmvireid.checkpoints import find_checkpoint
    for name in 'ab':
        (tmp_path / name).mkdir()
        (tmp_path / name / 'epoch_1.pth').write_text('')
        (tmp_path / name / 'last_checkpoint').write_text(f'{tmp_path}/a/epoch_1.pth')
    assert find_checkpoint(tmp_path / 'b') == f'{tmp_path}/b/epoch_1.pth'
    assert find_checkpoint(tmp_path) is None


PROGRAM = """
import importlib.metadata, sys
real = importlib.metadata.distributions
importlib.metadata.distributions = lambda: [
    d for d in real() if d.metadata['Name'] != 'onedl-mmengine']
sys.argv = ['train.py', 'config.py']
import runpy
runpy.run_path('tools/train.py', run_name='__main__')
"""


def test_missing_engine_is_one_sentence(run_tool):
    process = run_tool('-c', PROGRAM, expect=1)
    assert process.stderr.strip().splitlines()[-1].startswith('Error: onedl-mmengine is missing')
    assert 'Traceback' not in process.stderr


def test_a_demo_of_a_config_without_pictures(tool, broken, tmp_path):
    config, _ = broken('demo_data = None\n')
    line = sentence(tool('misc/demo.py', '--config', config, '--work-dir', tmp_path / 'run'))
    assert 'does not say what pictures to draw' in line


def test_ctrl_c_in_the_demo(start_tool, tiny_config, tmp_path):
    config = tmp_path / 'demo.py'
    config.write_text(f"_base_ = ['{tiny_config}']\n"
                      'demo_data = dict(ids=150, test_ids=40, images_per_camera=20)\n'
                      f"data_root = '{tmp_path}/data'\n"
                      "test_dataloader = dict(dataset=dict(data_root=data_root))\n")
    process = start_tool('tools/misc/demo.py', '--config', config, '--work-dir', tmp_path / 'run')
    process.wait(until=lambda: next(tmp_path.glob('data/cam*/*/*.jpg'), None))
    process.press_ctrl_c()
    stopped = process.finish()
    assert stopped.returncode == 130, process.output()
    assert 'Traceback' not in process.output()
    assert 'Type the same command again to continue.' in stopped.stderr


def test_the_demo_draws_its_data_when_it_is_missing(forked_workers, tiny_config, tmp_path, capsys):
    from mmvireid.cli import write_demo_data
    from mmvireid.config import load_config
    data = dict(ids=6, test_ids=2, images_per_camera=2, size=(32, 16), seed=0)
    cfg = load_config(tiny_config, {'demo_data': data, 'data_root': f'{tmp_path}/new'})
    write_demo_data(cfg)
    drawn = sorted((tmp_path / 'new').glob('cam*/*/*.jpg'))
    assert drawn
    drawn[0].unlink()
    write_demo_data(cfg)  # complete once, it is the reader that names what is missing now
    assert not drawn[0].exists()
    assert 'other synthetic pedestrians' not in capsys.readouterr().out

    # Pictures of another version's config are used, but not silently.
    write_demo_data(load_config(tiny_config, {'demo_data': dict(data, ids=7),
                                              'data_root': f'{tmp_path}/new'}))
    said = capsys.readouterr().out
    assert f'{tmp_path}/new holds other synthetic pedestrians' in said
    assert sorted((tmp_path / 'new').glob('cam*/*/*.jpg')) == drawn[1:]

    (tmp_path / 'own').mkdir()
    write_demo_data(load_config(tiny_config, {'data_root': f'{tmp_path}/own'}))
    assert not list((tmp_path / 'own').iterdir())


def test_hooks_can_be_switched_off(tool, tiny_config):
    from mmvireid.config import load_config
    cfg = load_config(tiny_config, {'default_hooks.last_and_best': None,
                                    'default_hooks.logger': None})
    assert 'last_and_best' not in cfg.default_hooks
    assert cfg.default_hooks.logger is None


def test_faults_of_the_program_keep_their_stack():
    from mmvireid.cli import one_sentence_errors
    with pytest.raises(IndexError), one_sentence_errors():
        [][0]
    with pytest.raises(ValueError, match='not ours'), one_sentence_errors():
        raise ValueError('not ours')
