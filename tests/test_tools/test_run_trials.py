"""Several trials and one table."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.slow


@pytest.fixture
def forked_commands(monkeypatch, run_tool):
    """Fork the commands that a tool runs from a process that has done the imports."""

    def run_command(command):
        assert command[0] == sys.executable
        print(run_tool(*command[1:]).stdout)

    monkeypatch.setattr('mmvireid.cli.run_command', run_command)


def test_trials_continue_where_they_were_stopped(run_tool, forked_commands, tiny_config, tmp_path,
                                                 repo_root, monkeypatch, capfd):
    """The first call is a user's; the second runs here, with commands that start quickly."""
    command = ['tools/run_trials.py', tiny_config, '--work-dir', tmp_path]
    options = ['--cfg-options', 'train_cfg.max_epochs=1', 'test_evaluator.num_trials=1']
    run_tool(*command, '--trials', '1', *options)
    first = (tmp_path / 'trial_1' / 'epoch_1.pth').stat().st_mtime_ns
    arguments = [*command, '--trials', '1-2', '--markdown', *options]
    monkeypatch.setattr(sys, 'argv', [str(word) for word in arguments])
    capfd.readouterr()
    runpy.run_path(str(repo_root / 'tools/run_trials.py'), run_name='__main__')
    printed = capfd.readouterr().out

    assert (tmp_path / 'trial_1' / 'epoch_1.pth').stat().st_mtime_ns == first
    assert 'trial 1: training' not in printed
    assert 'trial 2: training' in printed
    assert '| backbone' in printed
    means = []
    for trial in (1, 2):
        results = json.loads((tmp_path / f'trial_{trial}' / 'results.json').read_text())
        means.append({e['ranking']: e['summary']['mAP'] for e in results})
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['trials'] == [1, 2]
    row = summary['summary']['sysu all_single']['cift']
    assert row['mAP'] == pytest.approx((means[0]['cift'] + means[1]['cift']) / 2)
    # Each trial has its own seed, so its own network.
    assert means[0] != means[1]

    # Of two configs whose trials are done it makes one table.
    another = tmp_path / 'another.py'
    another.write_text(f"_base_ = ['{tiny_config}']\n")
    for trial, config in ((1, tiny_config), (2, another)):
        folder = tmp_path / 'both' / config.stem / 'trial_0'
        shutil.copytree(tmp_path / f'trial_{trial}', folder)
        (folder / 'request.json').unlink()
    arguments = ['tools/run_trials.py', tiny_config, another, '--trials', '0',
                 '--work-dir', tmp_path / 'both', *options]
    monkeypatch.setattr(sys, 'argv', [str(word) for word in arguments])
    runpy.run_path(str(repo_root / 'tools/run_trials.py'), run_name='__main__')
    table = capfd.readouterr().out.split('All configs:')[1]
    for config, values in zip((tiny_config, another), means):
        assert re.search(rf'{config.stem}, cift  .* {values["cift"]:.2f} ', table)


def test_trials_are_written_as_ranges(run_tool, tiny_config):
    process = run_tool('tools/run_trials.py', tiny_config, '--trials', 'one', expect=2)
    assert 'trials are written 1-10 or 1,3,5, not "one"' in process.stderr
    process = run_tool('tools/run_trials.py', tiny_config, '--trials', '10-1', expect=2)
    assert '"10-1" is no range of trials: write 1-10' in process.stderr
    process = run_tool('tools/run_trials.py', tiny_config, tiny_config, expect=1)
    assert 'several configs need a common folder: name one with --work-dir' in process.stderr


@pytest.mark.parametrize('script', ['dist_train', 'dist_test', 'slurm_train', 'slurm_test'])
def test_scripts_are_valid_shell(repo_root, script):
    subprocess.run(['bash', '-n', repo_root / 'tools' / f'{script}.sh'], check=True)


@pytest.mark.parametrize(('script', 'words'), [
    ('dist_train', 'CONFIG NUM_PROCESSES'), ('dist_test', 'CONFIG CHECKPOINT NUM_PROCESSES'),
    ('slurm_train', 'PARTITION JOB_NAME CONFIG WORK_DIR'),
    ('slurm_test', 'PARTITION JOB_NAME CONFIG CHECKPOINT')])
def test_scripts_say_what_they_need(repo_root, script, words):
    path = repo_root / 'tools' / f'{script}.sh'
    done = subprocess.run(['bash', path, 'one'], capture_output=True, text=True)
    assert done.returncode == 2
    assert words in done.stderr
    assert all('bash' in line or ':' in line or '=' in line for line in done.stderr.splitlines())


@pytest.mark.parametrize('name', ['train', 'test'])
def test_slurm_gets_the_command_line_word_for_word(repo_root, tmp_path, name):
    """A stand-in for srun prints what it is asked to run."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    done = subprocess.run(
        ['bash', repo_root / 'tools' / f'slurm_{name}.sh', 'gpu', 'my job', 'my config.py',
         'place', '--cfg-options', 'data_root=a b', 'x=[1,2]'],
        env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'GPUS': '12',
             'SRUN_ARGS': '--exclusive -x node1'}, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    for option in ('--job-name=my job', '--ntasks=12', '--gres=gpu:8', '--ntasks-per-node=8',
                   '--exclusive'):
        assert option in words
    program = words[words.index('python'):]
    assert program[2] == str(repo_root / 'tools' / f'{name}.py')
    assert program[3:] == [
        'my config.py', *(['--work-dir'] if name == 'train' else []), 'place', '--launcher',
        'slurm', '--cfg-options', 'data_root=a b', 'x=[1,2]']


def test_learning_rate_follows_the_images_of_a_step(run_tool, tiny_config, tmp_path):
    """16 images a step instead of 64: a quarter of the learning rate, for every parameter."""
    process = run_tool('tools/train.py', tiny_config, '--work-dir', tmp_path, '--auto-scale-lr',
                       '--no-validate', '--cfg-options', 'train_cfg.max_epochs=1',
                       'train_dataloader.sampler.num_steps=1')
    assert 'Scaling the original LR by 0.25' in process.stdout + process.stderr
    groups = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['optimizer']['param_groups']
    assert {round(group['initial_lr'], 8) for group in groups} == {0.0025, 0.025}
