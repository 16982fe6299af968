"""Training in stages: other batches, a new optimiser, a new schedule."""

from dataclasses import dataclass
from typing import Any, Optional, Sequence, Union

from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmvireid.registry import LOOPS, TRANSFORMS


@dataclass(frozen=True)
class Stage:
    """One stage of a training.

    Args:
        epochs: its length.
        branches: the branches of pseudo labels from which batches are drawn in turn.
        name: for the log.
        pipeline: transforms of the training images; None for those of the dataset.
        optim_wrapper: what the stage changes in the run's ``optim_wrapper``, merged into it
            as a config into its base.
    """

    epochs: int
    branches: Sequence[str]
    name: str = ''
    pipeline: Optional[Sequence[dict]] = None
    optim_wrapper: Optional[dict] = None


@LOOPS.register_module()
class StagedTrainLoop(EpochBasedTrainLoop):
    """Train in stages, each with a new optimiser and a schedule from its start.

    Epochs are counted through all stages. What a stage needs is set up when one of its
    epochs begins, so a run that is resumed in any stage goes on as if unbroken: a
    checkpoint holds the optimiser and the schedule of its stage, and no more is needed.

    Works with a sampler that draws from branches
    (:class:`mmvireid.datasets.ClusterSampler`).

    Args:
        runner: the runner.
        dataloader: the training loader or its config.
        stages: configs of :class:`Stage`.
        val_begin: first epoch to validate after.
        val_interval: epochs between validations.
        dynamic_intervals: see :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        ValueError: without a stage, or if one has no epoch or no branch.
    """

    def __init__(self,
                 runner: Runner,
                 dataloader: Union[DataLoader, dict],
                 stages: Sequence[dict],
                 val_begin: int = 1,
                 val_interval: int = 1,
                 dynamic_intervals: Optional[list] = None) -> None:
        self.stages = [Stage(**stage) for stage in stages]
        if not self.stages or min(stage.epochs for stage in self.stages) < 1:
            raise ValueError('StagedTrainLoop needs stages of at least one epoch each')
        max_epochs = sum(stage.epochs for stage in self.stages)
        super().__init__(runner, dataloader, max_epochs, val_begin, val_interval,
                         dynamic_intervals)
        own = self.dataloader.dataset.pipeline
        # Built now, so that a mistake in a later stage does not show after days.
        self._pipelines = [
            own if stage.pipeline is None else
            Compose([TRANSFORMS.build(transform) for transform in stage.pipeline])
            for stage in self.stages
        ]
        for stage in self.stages:
            if stage.optim_wrapper is not None:
                self._build_optimiser(stage)
        self._max_iters = 0
        for stage in reversed(self.stages):  # leaves the sampler at the first one
            self.dataloader.sampler.set_turns(stage.branches)
            self._max_iters += stage.epochs * len(self.dataloader)
        self._entered = -1

    @property
    def stage(self) -> Stage:
        """The stage that the current epoch belongs to."""
        return self.stages[self._position()[0]]

    def run_epoch(self) -> None:
        """Enter the stage of this epoch if need be, then train for an epoch."""
        number, first = self._position()
        if number != self._entered:
            self._enter(number, self._epoch - first)
            self._entered = number
        super().run_epoch()

    def _position(self) -> tuple[int, int]:
        """Return the number of the current stage and its first epoch."""
        first = 0
        for number, stage in enumerate(self.stages):
            if self._epoch < first + stage.epochs:
                return number, first
            first += stage.epochs
        return number, first - stage.epochs  # after the last epoch

    def _enter(self, number: int, epochs_done: int) -> None:
        """Set up a stage, at its beginning or in the middle of it."""
        stage = self.stages[number]
        self.runner.logger.info(
            f'Stage {number + 1} of {len(self.stages)}{stage.name and ": "}{stage.name}, '
            f'{stage.epochs} epochs, batches of {" and ".join(stage.branches)}')
        self.dataloader.sampler.set_turns(stage.branches)
        self.dataloader.dataset.pipeline = self._pipelines[number]
        # Persistent workers hold a copy of the dataset as it was.
        self.dataloader._iterator = None
        if number > 0 or stage.optim_wrapper is not None:
            self._renew_optimiser(stage, new=epochs_done == 0)
        # Counted from the beginning of the stage: where gradients are summed over the
        # branches, the sum must begin with the first of them.
        self.runner.optim_wrapper.initialize_count_status(
            self.runner.model, epochs_done * len(self.dataloader),
            stage.epochs * len(self.dataloader))

    def _renew_optimiser(self, stage: Stage, new: bool) -> None:
        """Build optimiser and schedule; in the middle of a stage they keep their state."""
        runner = self.runner
        before: dict[str, Any] = dict(
            optimiser=runner.optim_wrapper.state_dict(),
            schedulers=[scheduler.state_dict() for scheduler in runner.param_schedulers or ()])
        runner.optim_wrapper.zero_grad()
        runner.optim_wrapper = self._build_optimiser(stage)
        if runner.param_schedulers is not None:
            # As a config, for rates are scaled before there are schedules.
            runner.param_schedulers = runner.cfg.param_scheduler
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        if runner.param_schedulers is not None:
            runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        if not new:
            # Schedules change the rates of the optimiser when they are built: it comes last.
            for scheduler, state in zip(runner.param_schedulers or (), before['schedulers']):
                scheduler.load_state_dict(state)
            runner.optim_wrapper.load_state_dict(before['optimiser'])

    def _build_optimiser(self, stage: Stage) -> OptimWrapper:
        """Build the optimiser of a stage, without a state."""
        cfg = Config(dict(optim_wrapper=self.runner.cfg.optim_wrapper.to_dict()))
        cfg.merge_from_dict(dict(optim_wrapper=stage.optim_wrapper or {}))
        return self.runner.build_optim_wrapper(cfg.optim_wrapper)
