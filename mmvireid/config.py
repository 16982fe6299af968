"""Reading a config: overrides, checks, what a run of it needs, the stages of a chain."""

import inspect
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmvireid.checkpoints import stage_dir
from mmvireid.compat import prepare_cpu_launch
from mmvireid.config_check import check_keys, default_value
from mmvireid.utils.errors import ConfigError
from mmvireid.utils.paths import expand_path
from mmvireid.utils.references import merge_options

#: Endings of config files.
CONFIG_SUFFIXES = ('.py', '.json', '.yaml', '.yml')
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
#: Keys whose text is a path, besides those that end in one of the words below.
_PATH_KEYS = {'load_from', 'checkpoint'}
_PATH_ENDINGS = {'dir', 'root', 'file', 'path', 'folder'}
#: How configs of earlier versions say something -> how it is said now. The left side is a key
#: from the top of the config, a part, or a part with one of its arguments.
MOVED_KEYS = {
    'UnsupervisedReIdentifier': 'CrossModalityReIdentifier',
    'TrainingSetExtractor.descriptor': 'descriptors, a list of names',
    'StagedTrainLoop': 'a config that lists stages = [...], each a config file',
    'train_cfg.stages': 'stages = [...], a list of config files',
    **{f'model.head.{name}': f'model.head.graph.{name}'
       for name in ('tau_het', 'tau_hom', 'num_neighbors')},
    'AffinityHook.direction': 'query, which is "infrared" or "visible"',
    'PseudoLabelHook.branches': 'labellers, each of type ClusterLabeller with partition, refine, '
                                'associate and plan',
    'IntraModalityClustering.half': 'subset',
    'GlobalClustering.half': 'subset',
    'JaccardDBSCAN.k1': 'neighbors.k1',
    'JaccardDBSCAN.k2': 'neighbors.k2',
    'JaccardDBSCAN.expansion': 'neighbors.expansion',
    'JaccardDBSCAN.half_list': 'neighbors.half_list',
    'JaccardDBSCAN.modality_aware': 'the type of neighbors, BalancedNeighbors or PlainNeighbors',
    'JaccardDBSCAN.camera_aware': 'the type of neighbors, CameraNeighbors',
    'ClusteringPlotHook.k1': 'plain.k1 and corrected.k1',
    'ClusteringPlotHook.k2': 'plain.k2 and corrected.k2',
    'ClusteringPlotHook.expansion': 'corrected.expansion',
    'ClusteringPlotHook.half_list': 'corrected.half_list',
    'ClusterMemory.gather': 'gone, a memory is given the rows of all processes',
}
#: Launcher -> variable that it sets in each process, and what calls it.
_STARTED_BY = {
    'pytorch': ('RANK', 'torchrun (tools/dist_train.sh, tools/dist_test.sh)'),
    'slurm': ('SLURM_PROCID', 'srun (tools/slurm_train.sh, tools/slurm_test.sh)'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'mpirun'),
}


#: Numbers of a sampler that count for each process: a batch is divided by dividing them.
SHARED_AMONG_PROCESSES = ('num_ids', 'num_visible_clusters', 'num_infrared_clusters')


def load_config(path: str | os.PathLike,
                options: dict | None = None,
                work_dir: str | None = None,
                launcher: str = 'none') -> Config:
    """Read a config file and prepare the run it describes.

    A chain of stages stands for its last one: the network of that stage is what the method
    gives.

    Args:
        path: config file.
        options: overrides, dotted key -> value; ``data_root`` moves all datasets. What they
            mean for a chain, see :func:`load_stages`.
        work_dir: folder for results; by default ``work_dirs/<config name>``.
        launcher: how processes were started.

    Returns:
        The config, with ``work_dir`` and ``launcher`` set.

    Raises:
        ConfigError: if the file is missing, an option does not fit, or the launcher has
            not started this process.
    """
    files = stage_files(path)
    if not files:
        return _load_run(path, options or {}, work_dir, launcher)
    options = dict(options or {})
    folder = _work_dir_of_chain(path, work_dir, options)
    return _load_run(files[-1], _divide_options(files, options)[-1], folder, launcher)


def load_stages(path: str | os.PathLike,
                options: dict | None = None,
                work_dir: str | None = None,
                launcher: str = 'none') -> list[Config]:
    """Read a config file and prepare its runs: one for each stage.

    A config that lists ``stages`` is a chain of the configs it names, each of which can be
    trained by itself; they train one after the other, each in a folder of its own below the
    work directory (:func:`mmvireid.checkpoints.stage_dir`). Every other config is a single run in
    the work directory itself.

    Args:
        path: config file.
        options: overrides, dotted key -> value. Of a chain, each goes to every stage that it
            fits; one that begins with ``stages.0.`` goes to the first stage alone.
        work_dir: folder for results; by default ``work_dirs/<config name>``.
        launcher: how processes were started.

    Returns:
        The configs, with ``work_dir`` and ``launcher`` set.

    Raises:
        ConfigError: as :func:`load_config`; also if a chain holds anything but its stages.
    """
    files = stage_files(path)
    if not files:
        return [_load_run(path, options or {}, work_dir, launcher)]
    options = dict(options or {})
    folder = _work_dir_of_chain(path, work_dir, options)
    return [
        _load_run(file, chosen, stage_dir(folder, number), launcher)
        for number, (file, chosen) in enumerate(zip(files, _divide_options(files, options)), 1)
    ]


def stage_files(path: str | os.PathLike) -> list[str]:
    """List the configs of a chain's stages.

    Args:
        path: config file.

    Returns:
        The files that its ``stages`` name, relative to its own folder; none for a config
        that is no chain.

    Raises:
        ConfigError: if a chain holds anything else, or no stage.
    """
    cfg = _read(path)
    if 'stages' not in cfg:
        return []
    more = sorted(set(cfg) - {'stages'})
    if more:
        raise ConfigError(
            f'{path} lists stages, so nothing else is read of it: move {", ".join(more)} into '
            'the configs of the stages.')
    if not isinstance(cfg.stages, list) or not cfg.stages or not all(
            isinstance(file, str) for file in cfg.stages):
        raise ConfigError(f'{path} should list config files in stages.')
    return [os.path.join(Path(path).parent, file) for file in cfg.stages]


def check_single_run(cfg: Config | dict) -> None:
    """Refuse a chain of stages where one run is wanted.

    Args:
        cfg: a config that was read by MMEngine, which knows no chains.

    Raises:
        ConfigError: if it lists stages.
    """
    if 'stages' in cfg:
        raise ConfigError(
            'this Config lists stages, each a run of its own: give its file to tools/train.py or '
            'to mmvireid.config.load_stages, or to mmvireid.config.load_config for its last '
            'stage.')


def _work_dir_of_chain(path: str | os.PathLike, work_dir: str | None,
                       options: dict) -> str:
    """Return the work directory of a chain; it may be given as an option, which is taken out."""
    chosen = options.pop('work_dir', None)
    default = Path('work_dirs') / Path(path).stem
    return expand_path(next(filter(None, (work_dir, chosen)), default))


def _divide_options(files: Sequence[str], options: dict) -> list[dict]:
    """Give each stage of a chain the options that fit it.

    Raises:
        ConfigError: if an option fits no stage.
    """
    own: list[dict] = [{} for _ in files]
    common = {}
    for name, value in options.items():
        if name.split('.')[0] != 'stages':
            common[name] = value
            continue
        number, _, key = name.partition('.')[2].partition('.')
        if not (number.isdecimal() and int(number) < len(files) and key):
            raise ConfigError(
                f'"{name}" is the key of no stage: write stages.0.KEY to '
                f'stages.{len(files) - 1}.KEY.')
        own[int(number)][key] = value
    if 'load_from' in common and len(files) > 1:
        raise ConfigError(
            'a chain starts in one place: write stages.0.load_from or stages.1.load_from, which '
            'leaves out the stages before it, instead of load_from.')
    # One by one, but where they fit together: one option may need another.
    problems = [_problems(file, common) for file in files]
    for name in common:
        if all(name in found for found in problems):
            raise problems[-1][name]
    return [{**{name: value for name, value in common.items() if name not in found}, **more}
            for found, more in zip(problems, own)]


def _problems(file: str, options: dict) -> dict[str, ConfigError]:
    """Try options on a stage; give those that do not fit, with what is wrong."""
    if not options:
        return {}
    with suppress(ConfigError):
        _read(file, options)
        return {}
    found = {}
    for name, value in options.items():
        try:
            _read(file, {name: value})
        except ConfigError as problem:
            found[name] = problem
    return found


def _load_run(path: str | os.PathLike, options: dict, work_dir: str | None,
              launcher: str) -> Config:
    """Read the config of one run and prepare it."""
    cfg = _read(path, options)
    if 'stages' in cfg:
        raise ConfigError(f'{path} is a chain itself: list its stages instead.')
    _check_batch(cfg)
    _check_loaders(cfg)
    # MMEngine lets only its own default hooks be switched off by None.
    cfg.default_hooks = {
        name: hook for name, hook in cfg.get('default_hooks', {}).items()
        if hook is not None or name in _MMENGINE_HOOKS
    }
    if work_dir is not None:
        cfg.work_dir = expand_path(work_dir)
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


def check_moved_keys(node: Any, key: str = '') -> None:
    """Refuse what only an earlier version knew, and say how it is written now.

    Args:
        node: the config, or a part of it.
        key: where that part stands.

    Raises:
        ConfigError: if an entry of :data:`MOVED_KEYS` is found.
    """
    if not isinstance(node, (dict, Config)):
        for number, value in enumerate(node if isinstance(node, (list, tuple)) else ()):
            check_moved_keys(value, f'{key}.{number}')
        return
    part = str(node.get('type', '')).rpartition('.')[2]
    for name, value in node.items():
        here = f'{key}.{name}' if key else name
        for old in (here, f'{part}.{name}', part):
            if old in MOVED_KEYS:
                place = f'{key}.type' if old == part else here
                raise ConfigError(f'"{old}" of an earlier version is now '
                                  f'{MOVED_KEYS[old]}: change {place}.')
        check_moved_keys(value, here)


def _read(path: str | os.PathLike, options: dict | None = None) -> Config:
    """Read a file and apply overrides.

    Raises:
        ConfigError: if the file is missing or cannot be used, or an option does not fit.
    """
    if not Path(path).is_file():
        raise ConfigError(
            f'there is no config file "{path}"; the configs of every method lie in configs/.')
    _check_is_text(Path(path))
    try:
        cfg = Config.fromfile(path)
        apply_options(cfg, options or {})
    except ConfigError:
        raise  # a ValueError that says already what to do
    except ImportError as error:
        # MMEngine's own message is the whole search path; what went wrong is its cause.
        raise ConfigError(
            f'{path} cannot be used: {error.__cause__ or error}; the modules of its '
            'custom_imports are looked for where PYTHONPATH says, so start with "PYTHONPATH=. '
            'python ..." in their folder.') from error
    except (AttributeError, LookupError, NameError, OSError, SyntaxError, TypeError,
            ValueError) as error:
        # A config is a program of its author's, or no config at all.
        raise ConfigError(
            f'{path} cannot be used: {error} ({type(error).__name__}).') from error
    _check_options(cfg, options or {})
    check_moved_keys(cfg)
    expand_paths(cfg)
    check_keys(cfg)
    return cfg


def _check_is_text(path: Path) -> None:
    """Refuse a file that is no config, such as a checkpoint given in its place."""
    if path.suffix not in CONFIG_SUFFIXES:
        raise ConfigError(
            f'"{path}" is no config file, their names end in {", ".join(CONFIG_SUFFIXES)}: give '
            'the config first, then the checkpoint.')
    try:
        readable = '\0' not in path.read_bytes().decode()
    except UnicodeDecodeError:
        readable = False
    except OSError as error:
        raise ConfigError(f'"{path}" cannot be read ({error.strerror}).') from error
    if not readable:
        raise ConfigError(f'"{path}" is no config file: it is no text in UTF-8.')


def is_path_key(key: str) -> bool:
    """Tell whether the text at a key of a config names a file or a folder.

    Args:
        key: a key, dotted or not.

    Examples:
        >>> from mmvireid.config import is_path_key
        >>> is_path_key('train_dataloader.dataset.data_root'), is_path_key('model.head.type')
        (True, False)
    """
    name = key.rpartition('.')[2]
    return name in _PATH_KEYS or name.rpartition('_')[2] in _PATH_ENDINGS


def expand_paths(node: Any) -> None:
    """Replace ``~`` and environment variables in all paths of a config, in place.

    Args:
        node: the config, or a part of it.

    Raises:
        ConfigError: if a path names a variable that is not set.
    """
    children = node.items() if isinstance(node, (dict, Config)) else enumerate(node)
    for key, value in list(children):
        if isinstance(value, (dict, list, tuple)):
            expand_paths(value)
        elif isinstance(value, str) and isinstance(key, str) and is_path_key(key):
            node[key] = expand_path(value)


def apply_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Merge overrides, and read what the config takes from its own keys.

    Args:
        cfg: the config, changed in place.
        options: dotted key -> value.

    Raises:
        ConfigError: as :func:`mmvireid.utils.references.merge_options`.
    """
    merge_options(cfg, options, live=_LIVE_KEYS, default=default_value)


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
        elif top == 'stages':
            raise ConfigError(f'"{name}" is for a chain, and this config lists no stages: write '
                              f'{name.split(".", 2)[-1]}.')
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


def _check_loaders(node: Any, name: str = '') -> None:
    """Refuse data loaders that PyTorch cannot make, wherever they stand in a config."""
    for key, value in node.items() if isinstance(node, (dict, Config)) else enumerate(node):
        if isinstance(value, (dict, list, tuple)):
            _check_loaders(value, f'{name}.{key}' if name else str(key))
    options = ('persistent_workers', 'prefetch_factor')
    if isinstance(node, (list, tuple)) or not {'num_workers', *options} & set(node.keys()):
        return
    num_workers = node.get('num_workers', 0)
    if type(num_workers) is not int or num_workers < 0:
        raise ConfigError(
            f'{name}.num_workers={num_workers} is no number of processes: set it to a whole '
            'number from 0.')
    for option in options:
        if num_workers == 0 and node.get(option):
            raise ConfigError(
                f'{name}.{option} is for processes that load images, and {name}.num_workers is 0: '
                f'set it to 1 or more, or leave {option} out.')


def as_list(configs: dict | Sequence[dict]) -> list:
    """Return one config or several as a list.

    Args:
        configs: one, or several.
    """
    return [configs] if isinstance(configs, dict) else list(configs)
