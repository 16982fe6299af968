"""Refuse a checkpoint that belongs to another model."""

import re
from typing import Any, Mapping

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import Tensor

from mmvireid.checkpoints import current_name
from mmvireid.registry import HOOKS
from mmvireid.utils.errors import CheckpointError, EvaluationError

#: What a run goes on from, besides the weights.
_STATE = ('optimizer', 'param_schedulers', 'message_hub')


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Compare a checkpoint with the model before it is loaded.

    MMEngine loads what fits, prints the rest and goes on, so that a test with the
    wrong file reports the numbers of a half-initialised network.

    * A run that is resumed must match in every parameter, and needs the state of the
      optimiser and of the schedule: without it, MMEngine would begin both anew, silently.
    * A test must match in everything that descriptors come from: classifiers and the
      counterfactual branch, which depend on the training set and its batches, may differ.
    * To fine-tune, the backbone must match.

    A model that was trained on one split of RegDB has seen test people of the others, so
    a test on another trial than the checkpoint's is refused too, and so is a training that
    is validated on another trial than its own.

    Raises:
        CheckpointError: names how many parameters disagree and the first of them, what is
            missing to resume, or the two trials.
        EvaluationError: before a training whose validation has another trial.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Compare the trials of training and validation."""
        if not isinstance(runner._val_loop, BaseLoop):
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
        source = str(runner._load_from or 'the checkpoint')
        weights = _weights_of(checkpoint, source)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        testing = isinstance(runner._test_loop, BaseLoop)
        if testing:
            _check_trial(checkpoint, runner.test_dataloader.dataset.metainfo)
        resuming = bool(runner._resume)
        check_weights(model.state_dict(), weights, source, resuming=resuming, testing=testing)
        if resuming:
            _check_resumable(checkpoint, source)


def check_weights(own: Mapping[str, Tensor],
                  loaded: Mapping[str, Tensor],
                  source: str,
                  *,
                  resuming: bool = False,
                  testing: bool = False) -> None:
    """Refuse the weights of another model.

    Args:
        own: what the model has, by name.
        loaded: what the checkpoint has; ``module.``, the name that parallel wrappers put
            before all others, is ignored.
        source: name of the checkpoint for the message.
        resuming: everything has to match.
        testing: everything that descriptors come from has to match. With neither, the
            backbone has to.

    Raises:
        CheckpointError: if parameters disagree.
    """
    loaded = {
        current_name(re.sub(r'^module\.', '', name), own): value
        for name, value in loaded.items()
    }
    wrong = [
        _describe(name, value, loaded.get(name)) for name, value in own.items()
        if _must_match(name, resuming, testing)
        and (name not in loaded or loaded[name].shape != value.shape)
    ]
    if resuming:
        wrong += [f'{name} (not in the model)' for name in loaded if name not in own]
    if wrong:
        raise CheckpointError(
            f'{source} was made by another model: {len(wrong)} of {len(own)} parameters do not '
            f'fit, first {wrong[0]}; give the checkpoint that belongs to this config, or the '
            'config saved beside the checkpoint.')


def _must_match(name: str, resuming: bool, testing: bool) -> bool:
    """Tell whether a parameter matters for what comes after loading."""
    if testing:
        return 'classifier' not in name and 'counterfactual' not in name
    return resuming or name.startswith('backbone.')


def _weights_of(checkpoint: Any, source: str) -> Mapping[str, Tensor]:
    """Return the parameters in a checkpoint, which may be nothing but them."""
    weights = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else {}
    if not any(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(
            f'{source} holds no parameters by name: give a checkpoint that tools/train.py wrote.')
    return weights


def _check_resumable(checkpoint: Mapping, source: str) -> None:
    """Refuse to resume from weights alone."""
    missing = [name for name in _STATE if name not in checkpoint]
    missing += [name for name in ('epoch', 'iter') if name not in (checkpoint.get('meta') or {})]
    if missing:
        raise CheckpointError(
            f'{source} cannot be resumed, it holds no {", ".join(missing)}: give a checkpoint '
            'that training saved with them, or start a new run from its weights with '
            f'--cfg-options load_from={source} instead of --resume.')


def _check_trial(checkpoint: dict, tested: dict) -> None:
    """Refuse to test a split with the model of another."""
    trained = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    if trained.get('trial', tested.get('trial')) != tested.get('trial'):
        raise CheckpointError(
            f'the checkpoint was trained on trial {trained["trial"]}, in which the people of '
            f'trial {tested["trial"]} to be tested are training people: give the checkpoint of '
            f'trial {tested["trial"]}, or set test_dataloader.dataset.trial={trained["trial"]}.')


def _describe(name: str, own: object, loaded: object) -> str:
    """Say how one parameter disagrees."""
    if loaded is None:
        return f'{name} (missing)'
    return f'{name} (shape {tuple(loaded.shape)}, the model has {tuple(own.shape)})'
