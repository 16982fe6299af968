"""Averaged weights whose buffers agree."""

import mmengine.hooks
from mmengine.dist import all_reduce_params
from mmengine.runner import Runner

from mmvireid.registry import HOOKS


@HOOKS.register_module()
class EMAHook(mmengine.hooks.EMAHook):
    """MMEngine's exponential moving average; the model validated is the model saved.

    On several processes the BatchNorm statistics of MMEngine's averaged model stay those
    of each rank, while ``SyncBuffersHook`` averages those of the trained model. Validation
    then runs with the latter and the checkpoint holds the former.

    Args:
        **kwargs: those of :class:`mmengine.hooks.EMAHook`.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        """Average the statistics of the averaged model over the ranks."""
        all_reduce_params(self.ema_model.module.buffers(), op='mean')
