"""Refuse a checkpoint that belongs to another model."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvireid.checkpoints import check_weights, find_weights, present_names, read_for_engine
from mmvireid.compat import (
    checkpoints_read_by,
    is_resuming,
    is_testing,
    loaded_checkpoint,
    validates,
)
from mmvireid.registry import HOOKS
from mmvireid.utils.errors import CheckpointError, EvaluationError
from mmvireid.utils.wrappers import unwrap_model

#: What a run goes on from, besides the weights.
_STATE = ('optimizer', 'param_schedulers', 'message_hub')


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Read checkpoints safely, and compare them with the model before they are loaded.

    MMEngine loads what fits, prints the rest and goes on, so that a test with the
    wrong file reports the numbers of a half-initialised network.

    * A run that is resumed must match in every parameter, and needs the state of the
      optimiser and of the schedule: without it, MMEngine would begin both anew, silently.
    * A test must match in everything that descriptors come from; what the model declares as
      ``training_only`` (:func:`mmvireid.checkpoints.training_only_weights`) may differ.
    * To fine-tune, the backbone must match.

    A run whose labels were made wrong on purpose is only resumed with the same wrong labels.

    A model that was trained on one split of RegDB has seen test people of the others, so
    a test on another trial than the checkpoint's is refused too, and so is a training that
    is validated on another trial than its own.

    Raises:
        CheckpointError: names how many parameters disagree and the first of them, what is
            missing to resume, the two trials, or the two noises.
        EvaluationError: before a training whose validation has another trial.
    """

    priority = 'VERY_HIGH'
    only_watches = True

    def __init__(self) -> None:
        self._until_the_end = ExitStack()

    def before_run(self, runner: Runner) -> None:
        """Let MMEngine read by our function: nothing in a file is executed."""
        self._until_the_end.enter_context(checkpoints_read_by(read_for_engine))

    def after_run(self, runner: Runner) -> None:
        """Give MMEngine its own reading back."""
        self._until_the_end.close()

    def before_train(self, runner: Runner) -> None:
        """Compare the trials of training and validation."""
        if not validates(runner):
            return
        trained, validated = (
            getattr(loader.dataset, 'metainfo', {}).get('trial')
            for loader in (runner.train_dataloader, runner.val_dataloader))
        if None not in (trained, validated) and trained != validated:
            raise EvaluationError(
                f'training is on trial {trained}, in which people of trial {validated} are '
                'training people, but validation is on that one: set '
                'val_dataloader.dataset.trial and test_dataloader.dataset.trial too, or train '
                'with --no-validate.')

    def after_load_checkpoint(self, runner: Runner, checkpoint: Any) -> None:
        """Check names and shapes of ``checkpoint['state_dict']``."""
        source = loaded_checkpoint(runner) or 'the checkpoint'
        model = unwrap_model(runner.model)
        weights = present_names(find_weights(checkpoint, source), model)
        checkpoint['state_dict'] = weights
        if 'ema_state_dict' in checkpoint:
            checkpoint['ema_state_dict'] = present_names(
                checkpoint['ema_state_dict'], model, prefix='module.')
        testing, resuming = is_testing(runner), is_resuming(runner)
        if testing:
            _check_trial(checkpoint, runner.test_dataloader.dataset.metainfo)
        needed = 'descriptors' if testing else 'all' if resuming else 'backbone'
        check_weights(model, weights, source, needed)
        if resuming:
            _check_resumable(checkpoint, source)
            _check_label_noise(checkpoint, runner.train_dataloader.dataset)


def _check_resumable(checkpoint: Mapping, source: str) -> None:
    """Refuse to resume from weights alone."""
    missing = [name for name in _STATE if name not in checkpoint]
    missing += [name for name in ('epoch', 'iter') if name not in (checkpoint.get('meta') or {})]
    if missing:
        raise CheckpointError(
            f'"{source}" cannot be resumed, it holds no {", ".join(missing)}: give a checkpoint '
            'that training saved with them, or start a new run from its weights with '
            f'--cfg-options load_from={source} instead of --resume.')


def _check_label_noise(checkpoint: Mapping, dataset: Any) -> None:
    """Refuse to go on with other wrong labels than those that training began with."""
    before = (checkpoint['meta'].get('dataset_meta') or {}).get('label_noise')
    now = getattr(dataset, 'metainfo', {}).get('label_noise')
    if before != now:
        said = [f'rate {noise["rate"]:g}, seed {noise["seed"]}, hash {noise["sha256"][:8]}'
                if noise else 'none' for noise in (before, now)]
        raise CheckpointError(
            f'the label noise of the run that is resumed ({said[0]}) is not that of the config '
            f'and its data ({said[1]}): set train_dataloader.dataset.label_noise as it was.')


def _check_trial(checkpoint: dict, tested: dict) -> None:
    """Refuse to test a split with the model of another."""
    trained = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    if trained.get('trial', tested.get('trial')) != tested.get('trial'):
        raise CheckpointError(
            f'the checkpoint was trained on trial {trained["trial"]}, in which the people of '
            f'trial {tested["trial"]} to be tested are training people: give the checkpoint of '
            f'trial {tested["trial"]}, or set test_dataloader.dataset.trial={trained["trial"]}.')

