"""Stop a run whose Ctrl-C got lost."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvireid.registry import HOOKS
from mmvireid.utils.interrupts import raise_noted_interrupt

DataBatch = dict | tuple | list | None


@HOOKS.register_module()
class InterruptHook(Hook):
    """Raise a Ctrl-C again that a library swallowed.

    It acts before the next epoch or iteration, of training, validation or test, within
    :func:`mmvireid.utils.interrupts.remembered_interrupts`.

    Raises:
        KeyboardInterrupt: if an interrupt has been noted.
    """

    priority = 'VERY_HIGH'
    only_watches = True

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        raise_noted_interrupt()

    def _before_iter(self,
                     runner: Runner,
                     batch_idx: int,
                     data_batch: DataBatch = None,
                     mode: str = 'train') -> None:
        raise_noted_interrupt()
