"""What the command lines share: configs, work directories, errors in one sentence."""

import argparse
import atexit
import difflib
import inspect
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Optional, Sequence, Union

import torch
from mmengine.config import Config, DictAction
from mmengine.registry import Registry
from mmengine.runner import Runner

import mmvireid.registry
from mmvireid.compat import prepare_cpu_launch, write_atomically
from mmvireid.errors import CheckpointError, MMVIReIDError, WorkDirError
from mmvireid.interrupts import remembered_interrupts
from mmvireid.models import CIFTHead, GraphTransfer
from mmvireid.processes import leave_process_group, num_processes

#: Set to any value to see the whole stack of an error.
TRACEBACK_VARIABLE = 'MMVIREID_TRACEBACK'
#: Top-level names of a config that mean something after it was read: to the Runner, to
#: MMEngine where it wraps the model, to our own tools.
_LIVE_KEYS = {
    *inspect.signature(Runner.__init__).parameters, 'find_unused_parameters', 'model_wrapper_cfg',
    'sync_bn', 'activation_checkpointing', 'compile', 'efficient_conv_bn_eval', 'demo_data',
    'trial_keys'
}
_MMENGINE_HOOKS = {
    'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'
}
#: Launcher -> variable that it sets in each process, and what calls it.
_STARTED_BY = {
    'pytorch': ('RANK', 'torchrun (tools/dist_train.sh, tools/dist_test.sh)'),
    'slurm': ('SLURM_PROCID', 'srun (tools/slurm_train.sh, tools/slurm_test.sh)'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'mpirun'),
}


class ConfigError(MMVIReIDError):
    """Report a config, or an option of it, that cannot be used."""


@contextmanager
def one_sentence_errors(hint: str = '') -> Iterator[None]:
    """Print errors meant for the user as one sentence and exit.

    Errors that mmvireid raises on purpose are printed without a stack, also when a
    data-loading process raised them, and so is a ``type`` that nobody registered;
    ``MMVIREID_TRACEBACK=1`` brings the stack back. Ctrl-C exits with code 130, also if a
    library swallowed it on the way. A pipe that nobody reads any more ends the program
    without a word. Any other error is a fault of the program and keeps
    its stack. One of several processes ends here when its work has succeeded.

    Args:
        hint: sentence to print after an interruption.
    """
    try:
        with remembered_interrupts():
            yield
        sys.stdout.flush()
        if num_processes() > 1:
            leave_process_group()
            _leave_standing(0)
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        message = unknown_type(error)
        if message is None and _is_deliberate(error):
            message = _last_sentence(error)
        if message is None:
            raise
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        _exit(f'Error: {message}', 1)
    except KeyboardInterrupt:
        _exit(f'\nInterrupted. {hint}'.rstrip(), 130, interrupted=True)


def _nobody_reads() -> bool:
    """Tell whether the reader of our output, ``head`` for example, has gone.

    Then what is left of it goes nowhere, or the interpreter would try again as it ends.
    Other pipes that break, to data-loading processes, are errors.
    """
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    gone = any(flags & select.POLLERR for _, flags in output.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def unknown_type(error: Exception) -> Optional[str]:
    """Say in one sentence that nothing is registered under a name.

    Args:
        error: any error.

    Returns:
        The sentence, with the most similar name; None if it is another error.
    """
    found = isinstance(error, KeyError) and error.args and re.match(
        r'(\S+) is not in the (?:\w+::)?([\w ]+) registry', str(error.args[0]))
    if not found:
        return None
    name, kind = found[1], found[2]
    known = [key for node in vars(mmvireid.registry).values()
             if isinstance(node, Registry) and node.name == kind
             for key in (*node.module_dict, *node.parent.module_dict)]
    similar = difflib.get_close_matches(name, known, n=1)
    return (f'no {kind} is called "{name}": ' +
            (f'did you mean "{similar[0]}"? ' if similar else 'is the type spelt right? ') +
            'A class of your own has to be registered, in a module that custom_imports names.')


def _is_deliberate(error: Exception) -> bool:
    """Tell whether mmvireid raised an error by a ``raise`` of its own."""
    if isinstance(error, MMVIReIDError):
        return True
    origin = traceback.extract_tb(error.__traceback__)[-1]
    inside = Path(origin.filename).is_relative_to(Path(mmvireid.__file__).parent)
    return inside and (origin.line or '').startswith('raise ')


def _exit(message: str, code: int, interrupted: bool = False) -> None:
    """Print to the terminal and leave; other ranks must not wait for this one."""
    rank = int(os.environ.get('RANK', 0))
    print(f'[process {rank}] {message}' if rank else message, file=sys.stderr, flush=True)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # A collective would never return: the other ranks are elsewhere.
        os._exit(code)
    if interrupted:
        _leave_standing(code)
    sys.exit(code)


def _leave_standing(code: int) -> None:
    """End the process without taking its objects apart.

    After Ctrl-C some are half-built: numba's compiler, interrupted while it hands a module
    over, would free it twice, and the process would die of that instead of giving its exit
    code. And one of several processes now and then aborts while its interpreter ends and
    DistributedDataParallel still holds the threads of the group ("terminate called without
    an active exception"): its work is done, but its launcher calls the run a failure.
    """
    atexit._run_exitfuncs()  # data-loading processes end, loggers write what they hold
    with suppress(BrokenPipeError):  # nobody reads any more
        sys.stdout.flush()
    os._exit(code)


def _last_sentence(error: Exception) -> str:
    """Return the message, freed from the stack that a DataLoader puts before it."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    marker = f'{type(error).__name__}: '
    return text.rsplit(marker, 1)[-1].strip() if 'Traceback' in text else text


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share.

    Args:
        parser: of the command line.
    """
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        type=key_value,
        action=DictAction,
        metavar='KEY=VALUE',
        help='change the config, for example train_dataloader.num_workers=8')
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='how several processes were started')


def key_value(text: str) -> str:
    """Check the form of one override of the config, for argparse.

    Args:
        text: what was typed.

    Returns:
        The same text.

    Raises:
        argparse.ArgumentTypeError: if it is not ``KEY=VALUE``.
    """
    if '=' not in text.lstrip('='):
        raise argparse.ArgumentTypeError(f'write KEY=VALUE, not "{text}"')
    return text


def positive(text: str) -> int:
    """Read a number of things of which there must be one, for argparse.

    Args:
        text: what was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: if it is no whole number from 1.
    """
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'write a whole number from 1, not "{text}"')
    return int(text)


def load_config(path: Union[str, os.PathLike],
                options: Optional[dict] = None,
                work_dir: Optional[str] = None,
                launcher: str = 'none') -> Config:
    """Read a config file and prepare the run it describes.

    Args:
        path: config file.
        options: overrides, dotted key -> value; ``data_root`` moves all datasets.
        work_dir: folder for results; by default ``work_dirs/<config name>``.
        launcher: how processes were started.

    Returns:
        The config, with ``work_dir`` and ``launcher`` set.

    Raises:
        ConfigError: if the file is missing, an option does not fit, or the launcher has
            not started this process.
    """
    if not Path(path).is_file():
        raise ConfigError(
            f'there is no config file "{path}"; the configs of every method lie in configs/.')
    try:
        cfg = Config.fromfile(path)
        if options:
            cfg.merge_from_dict(options)
    except ImportError as error:
        # MMEngine's own message is the whole search path; what went wrong is its cause.
        raise ConfigError(
            f'{path} cannot be used: {error.__cause__ or error}; the modules of its '
            'custom_imports are looked for where PYTHONPATH says, so start with "PYTHONPATH=. '
            'python ..." in their folder.') from error
    except (KeyError, TypeError, SyntaxError, FileNotFoundError) as error:
        raise ConfigError(f'{path} cannot be used: {error}') from error
    _check_options(cfg, options or {})
    _check_batch(cfg)
    _compare_graphs(cfg)
    # MMEngine lets only its own default hooks be switched off by None.
    cfg.default_hooks = {
        name: hook for name, hook in cfg.get('default_hooks', {}).items()
        if hook is not None or name in _MMENGINE_HOOKS
    }
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(path).stem)
    cfg.launcher = launcher
    variable, scripts = _STARTED_BY.get(launcher, (None, ''))
    if variable is not None and variable not in os.environ:
        raise ConfigError(
            f'--launcher {launcher} is for processes that {scripts} has started; leave the '
            'option out to run a single one.')
    if launcher != 'none':
        # Torchrun sets it, MMEngine sets it for Slurm, nobody for MPI.
        os.environ.setdefault('LOCAL_RANK', os.environ.get('OMPI_COMM_WORLD_LOCAL_RANK', '0'))
    prepare_cpu_launch(cfg, launcher)
    return cfg


def _check_options(cfg: Config, options: dict) -> None:
    """Refuse overrides that would change nothing.

    A name at the top of a config that the Runner does not take is a word which the
    file used while it was read. ``data_root`` is handed on to the datasets.
    """
    for name, value in options.items():
        top = name.split('.')[0]
        if top == 'data_root':
            for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
                if cfg.get(loader) and 'data_root' in cfg[loader].dataset:
                    cfg[loader].dataset.data_root = value
        elif top not in _LIVE_KEYS:
            instead = dict(
                trial=' '.join(cfg.get('trial_keys', ())),
                num_ids='model.head.num_classes').get(top) or 'the entries made from it'
            raise ConfigError(
                f'"{top}" is only a word that the config uses while it is read, changing it '
                f'changes nothing: set {instead}, or write a config that inherits.')


def _check_batch(cfg: Config) -> None:
    """Refuse a batch that the sampler does not fill as a whole."""
    loader = cfg.get('train_dataloader') or {}
    sampler = loader.get('sampler', {})
    if {'num_ids', 'num_visible', 'num_infrared'} <= set(sampler):
        drawn = sampler.num_ids * (sampler.num_visible + sampler.num_infrared)
        how = f'{sampler.num_ids} x ({sampler.num_visible} + {sampler.num_infrared})'
    elif {'num_visible_clusters', 'num_infrared_clusters', 'num_instances'} <= set(sampler):
        numbers = sampler.num_visible_clusters, sampler.num_infrared_clusters
        drawn = sampler.num_instances * sum(numbers)
        how = f'({numbers[0]} + {numbers[1]}) x {sampler.num_instances}'
    else:
        return
    if loader.batch_size != drawn:
        raise ConfigError(
            f'the sampler draws {how} = {drawn} images a step, but '
            f'train_dataloader.batch_size is {loader.batch_size}: make them equal.')


def _compare_graphs(cfg: Config) -> None:
    """Warn where rankings build another graph than CIFT's head was trained with.

    The two have their settings apart, so that one may be tried without the other; who
    changes the head on the command line may not think of the rankings.
    """
    head = (cfg.get('model') or {}).get('head') or {}
    if str(head.get('type')).rpartition('.')[2] != 'CIFTHead':
        return
    for name in ('val_evaluator', 'test_evaluator'):
        for evaluator in as_list(cfg.get(name) or []):
            for ranking, entry in (evaluator.get('rankings') or {}).items():
                for number, post in enumerate(entry.get('post', ())):
                    _compare_graph(head, post, f'{name}.rankings.{ranking}.post.{number}')


def _compare_graph(head: dict, post: dict, key: str) -> None:
    """Warn if one post-processor is a graph with other settings."""
    if str(post.get('type')).rpartition('.')[2] != 'GraphTransfer':
        return
    for setting in ('tau_het', 'tau_hom', 'num_neighbors'):
        trained, ranked = (
            part.get(setting, inspect.signature(kind).parameters[setting].default)
            for part, kind in ((head, CIFTHead), (post, GraphTransfer)))
        if trained != ranked and os.environ.get('RANK', '0') == '0':
            print(
                f'Warning: model.head.{setting} is {trained}, but {key} ranks with {ranked}: '
                f'set {key}.{setting}={trained} too, unless you mean it.', file=sys.stderr)


def check_work_dir(path: Union[str, os.PathLike]) -> None:
    """Make sure that results can be written before hours are spent on them.

    Args:
        path: folder, made when missing.

    Raises:
        WorkDirError: if the folder cannot be made or written to.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise WorkDirError(
            f'results cannot be written to "{path}" ({error.strerror}): choose another folder '
            'with --work-dir.') from error


def check_out_file(path: Union[str, os.PathLike]) -> None:
    """Make sure that a file of results can be written before they are computed.

    Args:
        path: the file; the folder that it lies in is made when missing.

    Raises:
        WorkDirError: if the path is a folder, or that folder cannot be written to.
    """
    if Path(path).is_dir():
        raise WorkDirError(
            f'results cannot be written to "{path}", which is a folder: name a file in it.')
    check_work_dir(Path(path).parent)


def find_checkpoint(work_dir: Union[str, os.PathLike]) -> Optional[str]:
    """Find the newest complete checkpoint of a work directory.

    MMEngine's pointer file may name a file that was never finished; then the newest
    ``epoch_*.pth`` or ``iter_*.pth`` counts.

    Args:
        work_dir: folder of a run.

    Returns:
        Path of the checkpoint, or None if there is none.
    """
    work_dir = Path(work_dir)
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        target = pointer.read_text().strip()
        # A folder that was copied or moved still names its old place.
        for candidate in (work_dir / Path(target).name, Path(target)):
            if target and candidate.is_file():
                return str(candidate)
    found = [*work_dir.glob('epoch_*.pth'), *work_dir.glob('iter_*.pth')]
    return str(max(found, key=lambda path: path.stat().st_mtime)) if found else None


def check_checkpoint(path: Union[str, os.PathLike]) -> None:
    """Make sure that a checkpoint file exists and can be read.

    Args:
        path: file; an address is left to be fetched later.

    Raises:
        CheckpointError: if it is missing or broken.
    """
    if '://' in str(path):
        return
    if not Path(path).is_file():
        raise CheckpointError(f'there is no checkpoint "{path}".')
    try:
        # Nothing of the file is executed; MMEngine loads it afterwards.
        torch.load(path, map_location='meta', weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        if 'Unsupported' in str(error):  # complete, with more than tensors in it
            return
        raise CheckpointError(
            f'"{path}" is not a complete checkpoint ({type(error).__name__}): copy it again, '
            'or take an earlier one from the same folder.') from error


def remove_unfinished(work_dir: Union[str, os.PathLike]) -> None:
    """Delete what a killed run left of a checkpoint that it was writing.

    Args:
        work_dir: folder of the run.
    """
    for path in Path(work_dir).glob('.*.pth.*'):
        path.unlink(missing_ok=True)  # another process of the same run may be faster


def final_checkpoint(cfg: Config) -> str:
    """Return the file name of a config's last checkpoint.

    Args:
        cfg: config of the training.
    """
    if 'max_iters' in cfg.train_cfg:
        return f'iter_{cfg.train_cfg.max_iters}.pth'
    if 'stages' in cfg.train_cfg:
        return f'epoch_{sum(stage.epochs for stage in cfg.train_cfg.stages)}.pth'
    return f'epoch_{cfg.train_cfg.max_epochs}.pth'


def claim_folder(folder: Union[str, os.PathLike], cfg: Config, **more: object) -> None:
    """Make sure that the results in a folder belong to what is asked for now.

    Args:
        folder: made when missing; ``request.json`` in it says what it is for.
        cfg: config of the run, overrides included.
        **more: further settings that change results.

    Raises:
        ConfigError: if the folder holds results of something else.
    """
    path = Path(folder) / 'request.json'
    request = dict(config=cfg.pretty_text, **more)
    if path.is_file() and json.loads(path.read_text()) != request:
        raise ConfigError(
            f'"{folder}" holds results of another config or of other options: choose another '
            '--work-dir, or delete the folder.')
    write_atomically(json.dumps(request, indent=2).encode(), path)


def run_command(command: Sequence[object], cwd: Union[str, os.PathLike, None] = None) -> None:
    """Run a command and leave with its exit code if it fails.

    After Ctrl-C the command, which got it too, is given the time to end properly.

    Args:
        command: program and arguments.
        cwd: folder to run in.
    """
    with subprocess.Popen([str(part) for part in command], cwd=cwd) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
    if code == 130:
        raise KeyboardInterrupt
    if code:
        sys.exit(code)


def run_training(cfg: Config) -> None:
    """Build MMEngine's Runner from a config and train.

    Args:
        cfg: what :func:`load_config` gave.
    """
    Runner.from_cfg(cfg).train()


def run_test(cfg: Config) -> None:
    """Build MMEngine's Runner from a config and test.

    Without a checkpoint, the network is as training would begin with it: MMEngine itself
    loads pre-trained weights for training only.

    Args:
        cfg: what :func:`load_config` gave.
    """
    runner = Runner.from_cfg(cfg)
    if not cfg.get('load_from'):
        load_pretrained_parts(runner.model)
    runner.test()


def load_pretrained_parts(model: torch.nn.Module) -> None:
    """Load the pre-trained weights that parts of a model name; leave the rest as it is.

    Args:
        model: model whose parts may have an ``init_cfg`` of type ``Pretrained``.
    """
    for module in model.modules():
        init_cfg = getattr(module, 'init_cfg', None)
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            module.init_weights()


def as_list(configs: Union[dict, Sequence[dict]]) -> list:
    """Return one config or several as a list.

    Args:
        configs: one, or several.
    """
    return [configs] if isinstance(configs, dict) else list(configs)
