"""Training and testing as a user does."""

import json
import os
import re
import sys

import pytest
import torch
from commands import free_port
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(run_tool, tiny_config, tmp_path_factory):
    """Two epochs in one go."""
    work_dir = tmp_path_factory.mktemp('runs') / 'unbroken'
    process = run_tool('tools/train.py', tiny_config, '--work-dir', work_dir, fresh=True)
    return work_dir, process


def state(path):
    return torch.load(path, map_location='cpu', weights_only=False)


def assert_equal(first, second, atol=0.0):
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=atol, msg=name)


def losses(work_dir):
    """Read what the log says of each training iteration."""
    log = next(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    return [row for row in map(json.loads, log) if 'loss' in row]


def test_training_reports_and_saves(trained):
    work_dir, process = trained
    assert (work_dir / 'epoch_2.pth').is_file()
    output = process.stdout + process.stderr
    assert 'chosen on test data' in output
    assert 'eta:' in output
    assert 'mmcv-lite' not in output
    record = json.loads((work_dir / 'last_and_best.json').read_text())
    assert record['last']['epoch'] == 2
    # Nothing unfinished is left; the lock's file stays, unlocked.
    assert [path.name for path in work_dir.iterdir() if path.name.startswith('.')] == ['.lock']


def test_resumed_equals_unbroken(trained, run_tool, tiny_config, tmp_path):
    run_tool('tools/train.py', tiny_config, '--work-dir', tmp_path, '--cfg-options',
             'train_cfg.max_epochs=1')
    # As if it had been stopped after saving, before the validation was over.
    (tmp_path / 'last_and_best.json').unlink()
    process = run_tool('tools/train.py', tiny_config, '--work-dir', tmp_path, '--resume')
    assert 'resumed epoch: 1' in process.stdout + process.stderr
    assert 'The validation of epoch 1 is made up for.' in process.stdout + process.stderr
    unbroken, resumed = state(trained[0] / 'epoch_2.pth'), state(tmp_path / 'epoch_2.pth')
    assert_equal(unbroken['state_dict'], resumed['state_dict'])
    momenta = [
        {f'{i}': slot['momentum_buffer'] for i, slot in c['optimizer']['state'].items()}
        for c in (unbroken, resumed)
    ]
    assert_equal(*momenta)
    records = [(path / 'last_and_best.json').read_text() for path in (trained[0], tmp_path)]
    assert records[0] == records[1]


def test_resumed_equals_unbroken_with_persistent_workers(run_tool, tiny_config, tmp_path):
    options = ['--no-validate', '--cfg-options', 'train_dataloader.num_workers=2',
               'train_dataloader.persistent_workers=True', 'train_dataloader.sampler.num_steps=2']
    run_tool('tools/train.py', tiny_config, '--work-dir', tmp_path / 'a', *options)
    run_tool('tools/train.py', tiny_config, '--work-dir', tmp_path / 'b', *options,
             'train_cfg.max_epochs=1')
    run_tool('tools/train.py', tiny_config, '--work-dir', tmp_path / 'b', '--resume', *options)
    assert_equal(*(state(tmp_path / name / 'epoch_2.pth')['state_dict'] for name in 'ab'))


def test_test_gives_numbers_and_a_picture(trained, run_tool, tiny_config, tmp_path):
    out = tmp_path / 'results.json'
    process = run_tool(
        'tools/test.py', tiny_config, trained[0] / 'epoch_2.pth', '--work-dir', tmp_path / 'wd',
        '--out', out, '--show-dir', tmp_path / 'pictures', '--tta', '--protocol', 'all_single',
        'indoor_multi')
    document = json.loads(out.read_text())
    assert {(e['setting'], e['ranking']) for e in document} == {
        (s, r) for s in ('all_single', 'indoor_multi')
        for r in ('backbone', 'k_reciprocal', 'cift')}
    for entry in document:
        assert len(entry['trials']) == 2
        assert 0 <= entry['summary']['mINP'] <= entry['summary']['mAP'] <= 100
    path = re.search(r'ranking lists: (\S+\.png)', process.stdout + process.stderr)[1]
    with Image.open(path) as picture:
        assert picture.width > 500


def test_two_processes_train_as_one(run_tool, tiny_config, tmp_path):
    """Same images, same weights after two steps: the losses see the whole batch.

    BatchNorm of the trunk is frozen, since its statistics are those of a process, and
    nothing random happens to an image, since each process draws for its own.

    When they have done their work, several processes end at once: an interpreter that ends
    beside the threads of their group can abort, which would be called a failure.
    """
    (tmp_path / 'finished.py').write_text(
        'import atexit\n'
        'atexit.register(print, "files are closed")\n'
        'class Last:\n'
        '    def __del__(self, write=print):\n'
        '        write("objects are taken apart")\n'
        'last = Last()\n')
    config = tmp_path / 'plain.py'
    config.write_text(f"""
_base_ = ['{tiny_config}']
custom_imports = dict(imports=['finished'])
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadReIDImage', size=(48, 24)), dict(type='PackReIDInputs')]))
model = dict(backbone=dict(trunk=dict(norm_eval=True)))
""")
    options = ['--no-validate', '--cfg-options', 'train_cfg.max_epochs=1',
               'train_dataloader.sampler.num_steps=2']
    search_path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    run_tool('tools/train.py', config, '--work-dir', tmp_path / 'one', *options,
             PYTHONPATH=search_path)
    done = run_tool('tools/dist_train.sh', config, '2', '--work-dir', tmp_path / 'two', *options,
                    'train_dataloader.batch_size=8', 'train_dataloader.sampler.num_ids=2',
                    program='bash', PORT=str(free_port()), PYTHONPATH=search_path,
                    PATH=f'{sys.prefix}/bin:{os.environ["PATH"]}')
    assert done.stdout.count('files are closed') == 2
    assert 'objects are taken apart' not in done.stdout
    one, two = (state(tmp_path / name / 'epoch_1.pth')['state_dict'] for name in ('one', 'two'))
    assert_equal(one, two, atol=2e-5)
    assert losses(tmp_path / 'one')[-1]['loss'] == pytest.approx(
        losses(tmp_path / 'two')[-1]['loss'], rel=1e-4)


def test_a_test_on_two_processes_gives_the_same_numbers(trained, run_tool, run_on_two,
                                                        tiny_config, tmp_path):
    command = ['tools/test.py', tiny_config, trained[0] / 'epoch_2.pth', '--work-dir', tmp_path]
    run_tool(*command, '--out', tmp_path / 'one.json')
    run_on_two(*command, '--out', tmp_path / 'two.json')
    one, two = (json.loads((tmp_path / f'{name}.json').read_text()) for name in ('one', 'two'))
    for first, second in zip(one, two, strict=True):
        assert first['summary'] == pytest.approx(second['summary'], abs=1e-3)


def test_ctrl_c_leaves_a_run_that_resumes(tiny_config, start_tool, run_tool, tmp_path):
    command = ['tools/train.py', tiny_config, '--work-dir', tmp_path]
    process = start_tool(*command, '--cfg-options', 'train_cfg.max_epochs=1000')
    process.wait(until=(tmp_path / 'last_checkpoint').is_file)
    process.press_ctrl_c()
    stopped = process.finish()
    assert stopped.returncode == 130, process.output()[-4000:]
    assert 'Interrupted. Continue with the same command and --resume.' in stopped.stderr
    newest = max(tmp_path.glob('epoch_*.pth'), key=lambda p: int(p.stem[6:]))
    epoch = int(newest.stem[6:])
    resumed = run_tool(*command, '--resume', '--cfg-options', f'train_cfg.max_epochs={epoch + 1}')
    assert f'resumed epoch: {epoch}' in resumed.stdout + resumed.stderr
    assert (tmp_path / f'epoch_{epoch + 1}.pth').is_file()
