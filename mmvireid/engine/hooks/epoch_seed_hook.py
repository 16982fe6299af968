"""Random numbers as a function of (seed, epoch, rank)."""

import os
import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import get_worker_info

from mmvireid.compat import restart_workers, seeds_differ_by_rank
from mmvireid.registry import FUNCTIONS, HOOKS
from mmvireid.utils.errors import ConfigError


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed every generator anew at the start of each training epoch.

    A run that is resumed at epoch ``e`` then draws what an unbroken one would have
    drawn, with the seed that its checkpoint brings, whatever the config says; so does the
    sampler, which MMEngine builds before it reads the checkpoint. PyTorch's generators
    get the same seed on all ranks, so that noise drawn inside a loss over the gathered
    batch agrees; Python's and NumPy's, which the transforms use, differ by rank.

    Runs first (VERY_HIGH), so that hooks that cluster or sample before the epoch
    draw from the same state as well.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Refuse a second way to make ranks differ, which would part them.

        Raises:
            ConfigError: with ``randomness.diff_rank_seed``.
        """
        if seeds_differ_by_rank(runner):
            raise ConfigError(
                'randomness.diff_rank_seed gives each rank another seed, but samplers and '
                'clusterings need the same; leave it False: transforms draw other numbers on '
                'each rank anyway')

    def before_train_epoch(self, runner: Runner) -> None:
        """Derive the seeds of this epoch from the seed of the run."""
        shared, local = _spawn_seeds(runner.seed, runner.epoch, get_rank())
        torch.manual_seed(shared)
        random.seed(local)
        np.random.seed(local)
        loader = runner.train_dataloader
        if hasattr(loader.sampler, 'seed'):
            loader.sampler.seed = runner.seed
        if loader.persistent_workers:
            # They would go on with the random state of the last epoch, which a resumed
            # run does not have: start them anew.
            restart_workers(loader)


def _spawn_seeds(seed: int, epoch: int, rank: int) -> tuple[int, int]:
    """Return the seed that all ranks share in an epoch, and this rank's own."""
    shared = np.random.SeedSequence([seed, epoch]).generate_state(1)[0]
    local = np.random.SeedSequence([seed, epoch, 1 + rank]).generate_state(1)[0]
    return int(shared), int(local)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed Python and NumPy of a data-loading process.

    PyTorch draws a base seed from the main process at the start of each epoch and
    gives each worker base + number; MMEngine's own initialiser ignores it and would
    repeat the same augmentation in every epoch.

    Args:
        worker_id: number of the worker on its rank.
    """
    info = get_worker_info()
    # A worker has no process group; every launcher leaves the rank in the environment.
    rank = int(os.environ.get('RANK', 0))
    seed = int(np.random.SeedSequence([info.seed, rank]).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
