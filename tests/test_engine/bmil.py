"""Trainings on pseudo labels within the process of the tests, and hooks that watch them."""

import itertools
import json
from unittest import mock

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmvireid.cli import train_stages
from mmvireid.config import load_stages
from mmvireid.registry import HOOKS

_NUMBER = itertools.count()


def train(config, work_dir, *hooks, resume=None, validate=False, **keys):
    """Train all stages as tools/train.py does; give back the runners of those that trained.

    ``keys`` replace entries of the configs; a double underscore in a key stands for a dot.
    """
    options = {name.replace('__', '.'): value for name, value in keys.items()}
    stages, runners = load_stages(config, options, str(work_dir)), []
    for cfg in stages:
        cfg.experiment_name = f'bmil_{next(_NUMBER)}'
        cfg.log_level = 'WARNING'
        if not validate:
            cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
            del cfg.default_hooks['last_and_best']

    def run_training(cfg):
        runners.append(Runner.from_cfg(cfg))
        for hook in hooks:
            runners[-1].register_hook(hook)
        runners[-1].train()

    with mock.patch('mmvireid.cli.stages.run_training', run_training):
        train_stages(stages, resume)
    return runners


def model_of(runner):
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def load(path):
    return torch.load(path, map_location='cpu', weights_only=False)


def assert_same(first, second, atol=0.0):
    """Compare what checkpoints hold: tensors and other values in nested containers."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key], atol)
    elif isinstance(first, (list, tuple)):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other, atol)
    elif isinstance(first, torch.Tensor):
        torch.testing.assert_close(first, second, rtol=0, atol=atol)
    else:
        assert first == second


def losses(work_dir, after_epoch=0):
    """Read from the log what each training iteration was, but for times."""
    found = []
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        found += [
            {key: value for key, value in row.items()
             if 'loss' in key or key in ('lr', 'epoch', 'iter')}
            for row in rows if 'loss' in row and row['epoch'] > after_epoch
        ]
    return found


def labels_file(work_dir):
    """Read the record of all clusterings, but for times."""
    rows = json.loads((work_dir / 'clustering.json').read_text())
    return [{key: value for key, value in row.items() if key != 'seconds'} for row in rows]


class Watch(Hook):
    """Keeps what each iteration did."""

    priority = 'LOWEST'

    def __init__(self):
        self.rows = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.weights = [p.detach().clone() for p in runner.model.parameters()]
        self.memories = self._memories(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        clustering = next(h for h in runner.hooks if type(h).__name__ == 'PseudoLabelHook')
        memories = self._memories(runner)
        self.rows.append(dict(
            stage=2 if len(runner.train_dataloader.sampler.turns) == 2 else 1,
            epoch=runner.epoch,
            branch=data_batch['data_samples'][0].branch,
            images=[sample.sample_idx for sample in data_batch['data_samples']],
            inputs=[view.clone() for view in data_batch['inputs']],
            labels=clustering.last_clustering.labels,
            lr=runner.optim_wrapper.get_lr()['lr'][0],
            losses=set(outputs) - {'loss'},
            moved={name for name, before in self.memories.items()
                   if not all(map(torch.equal, before, memories[name]))},
            stepped=not all(map(torch.equal, self.weights, runner.model.parameters()))))

    @staticmethod
    def _memories(runner):
        # Updates replace the tensors: these stay as they are.
        head = model_of(runner).head
        return {name: [memory.prototypes for memory in head.memories(name).values()]
                for name in head.branch_names}


@HOOKS.register_module()
class RankWatch(Hook):
    """Freezes the statistics of the trunk in the first epoch; saves those of each rank."""

    priority = 'LOWEST'

    def before_train_epoch(self, runner):
        model_of(runner).backbone.trunk.norm_eval = runner.epoch == 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._save(runner, 'trained')

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self._save(runner, 'validated')

    @staticmethod
    def _save(runner, what):
        torch.save(model_of(runner).state_dict(),
                   f'{runner.work_dir}/{what}_by_rank{get_rank()}.pth')
