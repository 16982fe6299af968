"""Tell the parts of a model how far its training is."""

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from mmvireid.registry import HOOKS
from mmvireid.utils.wrappers import unwrap_model


@HOOKS.register_module()
class TrainingProgressHook(Hook):
    """Tell parts whose training depends on it the epoch, and when weights have moved.

    A loss that sets in after some epochs, or an average of weights that moves with each
    update, cannot know by itself where a run stands, least of all a resumed one. Any
    module of the model may have one of these methods, or both:

    * ``set_epoch(epoch)`` is called before each epoch with its number from 0, as MMEngine
      calls that of a sampler.
    * ``weights_moved(moved)`` is called after each batch: with True if the optimiser has
      made its update, with False if gradients are still being accumulated.
    """

    # It tells, others decide: a run that was begun before there was this hook goes on with it.
    only_watches = True

    def before_train(self, runner: Runner) -> None:
        """Find the parts that want to know."""
        model = unwrap_model(runner.model)
        self._epoch_parts = _parts_with(model, 'set_epoch')
        self._update_parts = _parts_with(model, 'weights_moved')

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the number of the epoch."""
        for part in self._epoch_parts:
            part.set_epoch(runner.epoch)

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Tell whether the weights were updated.

        Args:
            runner: the run.
            *args: the batch, which is not looked at.
            **kwargs: the same.
        """
        optimizer = runner.optim_wrapper
        # Several optimisers at once are in the hands of the model, which then updates always.
        moved = isinstance(optimizer, OptimWrapperDict) or optimizer.should_update()
        for part in self._update_parts:
            part.weights_moved(moved)


def _parts_with(model: nn.Module, method: str) -> list[nn.Module]:
    return [part for part in model.modules() if hasattr(part, method)]
