"""The one place that knows the versions of the engine and its gaps.

What is cured here, and why:

* Exactly one engine family must be importable: the distributions ``onedl-mmengine``
  and ``mmengine`` install the same package and overwrite each other's files.
* MMEngine starts processes for CUDA only: it sets a CUDA device before it joins the
  group and hands a device number to DistributedDataParallel. :func:`prepare_cpu_launch`
  joins with gloo first.
* MMEngine imports matplotlib, which refuses to be imported if the environment names a
  backend that is not installed: a shell command of a Jupyter notebook inherits the name of
  the notebook's. :func:`drop_missing_plot_backend` takes such a name out.
* MMEngine writes files in place, so a run that is killed while it writes leaves a
  broken checkpoint. :func:`atomic_storage` lets it write beside and rename.
* MMEngine falls back to reading checkpoints without protection.
  :func:`checkpoints_read_by` lets it read by a function of ours.
* Some of what hooks have to know of a run has no public name.

Nothing is changed by importing this module: whatever changes MMEngine is called by a run.
"""

import datetime
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.distributed as torch_dist

from mmvireid.utils.errors import EnvironmentMismatchError
from mmvireid.utils.files import write_atomically, write_error

#: distribution of the maintained family -> (its upstream twin, import name)
ENGINE_FAMILY = {
    'onedl-mmengine': ('mmengine', 'mmengine'),
    'onedl-mmcv': ('mmcv', 'mmcv'),
    'onedl-mmpretrain': ('mmpretrain', 'mmpretrain'),
}
#: What each open block of :func:`checkpoints_read_by` found; the first is MMEngine's own.
_loaders_replaced: list[dict] = []
#: Name of our storage among MMEngine's.
_ATOMIC = 'mmvireid.atomic'
_INSTALL = 'pip install "mmvireid[onedl]" (from a clone: pip install -e ".[onedl]")'


def installed_distributions() -> set[str]:
    """Return the lower-case names of all installed distributions."""
    names = (dist.metadata['Name'] for dist in metadata.distributions())
    return {name.lower() for name in names if name}


def drop_missing_plot_backend() -> None:
    """Forget the backend for plots that the environment names, if it cannot be imported.

    Nothing could use it, and our own figures need none.
    """
    module = os.environ.get('MPLBACKEND', '').partition('module://')[2]
    try:
        missing = module and find_spec(module) is None
    except ModuleNotFoundError:  # of the package that it is in
        missing = True
    if missing:
        del os.environ['MPLBACKEND']


def check_engine_family(installed: Iterable[str] = ()) -> None:
    """Check that exactly one family of OpenMMLab packages is installed.

    Args:
        installed: names of distributions; those of this environment when empty.

    Raises:
        EnvironmentMismatchError: if a package is missing, or present from both
            families. The message says what to install.
    """
    installed = {name.lower() for name in installed} or installed_distributions()
    missing = [kept for kept in ENGINE_FAMILY if kept not in installed]
    twins = [twin for kept, (twin, _) in ENGINE_FAMILY.items() if twin in installed]
    if 'mmcv-lite' in installed:
        twins.append('mmcv-lite')
    if twins and missing:
        raise EnvironmentMismatchError(
            f'mmvireid needs the maintained OpenMMLab packages, but {", ".join(twins)} '
            f'{"is" if len(twins) == 1 else "are"} installed: run "pip uninstall -y '
            f'{" ".join(twins)}", then {_INSTALL}.')
    if twins:
        raise EnvironmentMismatchError(
            f'two families of OpenMMLab packages overwrite each other here: run "pip '
            f'uninstall -y {" ".join([*twins, *ENGINE_FAMILY])}", then {_INSTALL}.')
    if missing:
        raise EnvironmentMismatchError(
            f'{", ".join(missing)} {"is" if len(missing) == 1 else "are"} missing: '
            f'run {_INSTALL}.')


def require_engine() -> None:
    """Refuse to be imported beside packages that do not fit.

    A command line of mmvireid ends with the sentence alone: it has not come to the point
    where it could catch an error.

    Raises:
        EnvironmentMismatchError: as :func:`check_engine_family`.
    """
    try:
        check_engine_family()
    except EnvironmentMismatchError as error:
        package = Path(__file__).resolve().parent
        program = Path(getattr(sys.modules['__main__'], '__file__', None) or '.').resolve()
        if any(program.is_relative_to(folder / 'tools')
               for folder in (package.parent, package / '.mim')):
            sys.exit(f'Error: {error}')
        raise


def prepare_cpu_launch(cfg: dict, launcher: str) -> None:
    """Make a launch of several processes work on a machine without a GPU.

    Joins the process group with gloo before MMEngine would ask for a CUDA device,
    and tells DistributedDataParallel that there is no device number.

    Args:
        cfg: the config of the run; ``model_wrapper_cfg`` is added when missing.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        EnvironmentMismatchError: if the launcher is not 'pytorch'.
    """
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise EnvironmentMismatchError(
            f'there is no GPU here, and without one several processes start with '
            f'--launcher pytorch (tools/dist_train.sh), not {launcher}.')
    if not torch_dist.is_initialized():
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
        torch_dist.init_process_group(
            backend='gloo', timeout=datetime.timedelta(seconds=timeout))
    if cfg.get('model_wrapper_cfg') is None:
        cfg['model_wrapper_cfg'] = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False))


@contextmanager
def known_warnings_hidden() -> Iterator[None]:
    """Hide, within a block, a warning to install what mmvireid does not need.

    It comes when mmpretrain is imported, which a config does by naming a part of it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            'ignore', message='Fail to import ``MultiScaleDeformableAttention``',
            category=UserWarning)
        yield


def atomic_storage() -> dict:
    """Return ``backend_args`` with which MMEngine writes whole files or none.

    Its own storage writes in place: a run stopped while it writes a checkpoint leaves half
    a file under the checkpoint's own name. Ours has a name of its own, registered when it
    is first asked for, and takes the place of nothing.
    """
    from mmengine.fileio import LocalBackend, register_backend

    class AtomicLocalBackend(LocalBackend):
        """MMEngine's local storage, with whole-file writes."""

        def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
            """Write bytes to a file, all or nothing."""
            write_atomically(obj, filepath)

        def put_text(self, obj: str, filepath: str | os.PathLike,
                     encoding: str = 'utf-8') -> None:
            """Write text to a file, all or nothing."""
            write_atomically(obj.encode(encoding), filepath)

    register_backend(_ATOMIC, AtomicLocalBackend, force=True)
    return dict(backend=_ATOMIC)


def raise_log_errors(logger: logging.Logger) -> None:
    """Let a log that cannot be written stop the run.

    Python prints a stack for each line that does not get into the file, and goes on.

    Args:
        logger: of a run.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = _raise_write_errors(handler)


def _raise_write_errors(handler: logging.FileHandler) -> Callable[[logging.LogRecord], None]:
    """Answer errors of a log's file by raising them, others as before."""
    before = handler.handleError

    def answer(record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            raise write_error(error, handler.baseFilename) from error
        before(record)

    return answer


@contextmanager
def checkpoints_read_by(read: Callable[[str, Any], dict]) -> Iterator[None]:
    """Let MMEngine read every checkpoint by a function of ours, within a block.

    MMEngine tries to read safely, and where that fails it loads the file without
    protection: whatever was hidden in it is executed. Its Runner, the ``Pretrained`` of its
    own scope and the models of other OpenMMLab packages all read through one table of
    loaders.

    Args:
        read: takes the file or address and the ``map_location`` of :func:`torch.load`.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    def load_from_weights_only(filename: str, map_location: Any = None) -> dict:
        return read(filename, map_location)  # MMEngine logs the end of this function's name

    _loaders_replaced.append(CheckpointLoader._schemes)
    CheckpointLoader._schemes = {'': load_from_weights_only}
    try:
        yield
    finally:
        # The last of several blocks restores, in whatever order they end: a run that failed
        # may be taken apart while the next one is reading.
        first = _loaders_replaced.pop(0)
        if _loaders_replaced:
            _loaders_replaced[0] = first
        else:
            CheckpointLoader._schemes = first


def is_resuming(runner: Any) -> bool:
    """Tell whether a Runner goes on with a run; MMEngine has no public name for it.

    Args:
        runner: MMEngine's Runner.
    """
    return bool(runner._resume)


def loaded_checkpoint(runner: Any) -> str:
    """Return the checkpoint that a Runner starts from, or an empty text.

    Args:
        runner: MMEngine's Runner.
    """
    return str(runner._load_from or '')


def is_testing(runner: Any) -> bool:
    """Tell whether a Runner's test has been started.

    MMEngine builds a loop when it is started. Asking by the public property would build it.

    Args:
        runner: MMEngine's Runner.
    """
    from mmengine.runner import BaseLoop
    return isinstance(runner._test_loop, BaseLoop)


def validates(runner: Any) -> bool:
    """Tell whether a training is validated; the public property would build the loop.

    Args:
        runner: MMEngine's Runner.
    """
    from mmengine.runner import BaseLoop
    return isinstance(runner._val_loop, BaseLoop)


def seeds_differ_by_rank(runner: Any) -> bool:
    """Tell whether MMEngine gives each rank another seed; no public name says it.

    Args:
        runner: MMEngine's Runner.
    """
    return bool(runner._randomness_cfg.get('diff_rank_seed'))


def restart_workers(loader: Any) -> None:
    """Let persistent data-loading processes start anew at the next epoch.

    PyTorch keeps them, with all they know, in the iterator of the last epoch.

    Args:
        loader: a :class:`torch.utils.data.DataLoader`.
    """
    loader._iterator = None


def records_initialisation(module: torch.nn.Module) -> bool:
    """Tell whether MMEngine notes how each parameter of a module is initialised.

    It does so while a model is initialised as a whole; a note without the record fails.

    Args:
        module: any part of a model.
    """
    return hasattr(module, '_params_init_info')
