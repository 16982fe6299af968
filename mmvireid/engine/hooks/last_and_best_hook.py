"""Report the last and the best evaluation apart."""

import json
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmvireid.compat import is_resuming
from mmvireid.registry import HOOKS
from mmvireid.utils.errors import MissingEntryError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.records import read_record_if_complete

from .records import record_of_resumed_run

_FILE = 'last_and_best.json'


@HOOKS.register_module()
class LastAndBestHook(Hook):
    """Log ``last`` and ``best`` of a metric, and say on what ``best`` was chosen.

    Most published code keeps the epoch that is best on the test set. A fair report
    is the last epoch; the best one is shown beside it and named for what it is. No
    checkpoint is selected here.

    Writes every evaluation, the last and the best to ``last_and_best.json`` in the
    work directory. A resumed run reads it back up to its epoch, there or beside the
    checkpoint: MMEngine saves a checkpoint before it validates, so the checkpoint does
    not know its own result. Where the run was stopped between the two, the validation is
    made up for.

    Args:
        metric: name of the metric to follow, as the evaluator reports it, or its end
            (``'mAP'``); the first metric with that end counts.
    """

    priority = 'LOW'
    only_watches = True

    def __init__(self, metric: str = 'mAP') -> None:
        self.metric = metric
        self.history: list = []

    def before_train(self, runner: Runner) -> None:
        """Take over the evaluations of the run that is resumed."""
        path = record_of_resumed_run(runner, _FILE)
        if path is not None:
            # Where it is broken, evaluations are recorded from here on.
            entries = (read_record_if_complete(path) or {}).get('history', [])
            self.history = [entry for entry in entries if entry['epoch'] <= runner.epoch]
        # One answer for all: ranks on other machines may not see the file.
        missed = [is_resuming(runner) and self._lacks_validation(runner)]
        broadcast_object_list(missed)
        if missed[0]:
            runner.logger.info(f'The validation of epoch {runner.epoch} is made up for.')
            runner.val_loop.run()

    def _lacks_validation(self, runner: Runner) -> bool:
        """Tell whether an unbroken run would have validated the epoch to go on from."""
        loop, epoch = runner.train_loop, runner.epoch
        if runner.val_loop is None or not isinstance(loop, EpochBasedTrainLoop):
            return False
        due = epoch >= max(1, loop.val_begin) and (
            epoch % loop.val_interval == 0 or epoch == loop.max_epochs)
        return due and epoch not in [entry['epoch'] for entry in self.history]

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log and write the record after a validation.

        Raises:
            MissingEntryError: if the evaluator does not report the metric.
        """
        name = next((key for key in metrics or {} if key.endswith(self.metric)), None)
        if name is None:
            raise MissingEntryError(
                f'LastAndBestHook follows "{self.metric}", but the evaluator reports '
                f'{sorted(metrics or {})}')
        numbers = {key: float(value) for key, value in metrics.items()}
        self.history.append(dict(epoch=runner.epoch, metrics=numbers))
        last = self.history[-1]
        best = max(self.history, key=lambda entry: entry['metrics'][name])
        split = runner.val_dataloader.dataset.metainfo.get('split', 'validation')
        runner.logger.info(
            f'{name}: last {last["metrics"][name]:.2f} (epoch {last["epoch"]}), best '
            f'{best["metrics"][name]:.2f} (epoch {best["epoch"]}, chosen on {split} data)')
        if is_main_process():
            record = dict(
                metric=name, best_selected_on=split, last=last, best=best, history=self.history)
            write_atomically(json.dumps(record, indent=2).encode(), _record_path(runner))


def _record_path(runner: Runner) -> Path:
    return Path(runner.work_dir) / _FILE
