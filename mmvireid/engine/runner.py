"""MMEngine's Runner, reading safely and writing whole files."""

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.runner import Runner

from mmvireid.checkpoints import read_for_engine
from mmvireid.compat import checkpoints_read_by, raise_log_errors
from mmvireid.config import apply_options, check_single_run
from mmvireid.registry import RUNNERS
from mmvireid.utils.files import write_atomically


@RUNNERS.register_module()
class ReIDRunner(Runner):
    """Run a config as the command lines do.

    Whatever the config says, no checkpoint is read in a way that executes what is in it,
    and the config is saved whole. A log that cannot be written stops the run.

    Args:
        *args: those of :class:`mmengine.runner.Runner`.
        **kwargs: the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        raise_log_errors(self.logger)

    @classmethod
    def from_cfg(cls, cfg: Config | dict) -> Runner:
        """Build the Runner of a config.

        Args:
            cfg: config of one run, from :func:`mmvireid.config.load_config` or MMEngine's
                ``Config.fromfile``; references in it are resolved in place.

        Returns:
            Runner: of that run.

        Raises:
            ConfigError: for a chain of stages, each of which has a Runner of its own.
        """
        check_single_run(cfg)
        if isinstance(cfg, Config):
            # What Config.fromfile leaves open; nothing is open in what load_config gave.
            apply_options(cfg, {})
        return super().from_cfg(cfg)

    @master_only
    def dump_config(self) -> None:
        """Save the config in the work directory."""
        name = os.path.basename(self.cfg.filename or f'{self.timestamp}.py')
        write_atomically(self.cfg.pretty_text.encode(), Path(self.work_dir) / name)

    def train(self) -> Any:
        """Train.

        Returns:
            The model.
        """
        with checkpoints_read_by(read_for_engine):
            return super().train()

    def test(self) -> dict:
        """Test.

        Returns:
            Metrics by name.
        """
        with checkpoints_read_by(read_for_engine):
            return super().test()
