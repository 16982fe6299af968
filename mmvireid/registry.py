"""Registry nodes of mmvireid.

Every node is a child of the root node of the same name in MMEngine and knows
the package in which its parts live (``locations``), so a part is imported when
a config first names it. Every root of MMEngine has a child here: with
``default_scope='mmvireid'`` a missing child would make MMEngine warn at each
build.

Parts of other OpenMMLab packages are named with their scope, for example
``dict(type='mmpretrain.ResNet', depth=50)``.
"""

from mmengine import registry as root
from mmengine.registry import Registry

RUNNERS = Registry('runner', parent=root.RUNNERS, locations=['mmvireid.engine'])
RUNNER_CONSTRUCTORS = Registry(
    'runner constructor',
    parent=root.RUNNER_CONSTRUCTORS,
    locations=['mmvireid.engine'])
LOOPS = Registry('loop', parent=root.LOOPS, locations=['mmvireid.engine'])
HOOKS = Registry(
    'hook', parent=root.HOOKS, locations=['mmvireid.engine', 'mmvireid.visualization'])
STRATEGIES = Registry('strategy', parent=root.STRATEGIES, locations=['mmvireid.engine'])
LOG_PROCESSORS = Registry(
    'log processor', parent=root.LOG_PROCESSORS, locations=['mmvireid.engine'])
OPTIMIZERS = Registry('optimizer', parent=root.OPTIMIZERS, locations=['mmvireid.engine'])
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper', parent=root.OPTIM_WRAPPERS, locations=['mmvireid.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=root.OPTIM_WRAPPER_CONSTRUCTORS,
    locations=['mmvireid.engine'])
PARAM_SCHEDULERS = Registry(
    'parameter scheduler', parent=root.PARAM_SCHEDULERS, locations=['mmvireid.engine'])
FUNCTIONS = Registry('function', parent=root.FUNCTIONS, locations=['mmvireid.engine'])

DATASETS = Registry('dataset', parent=root.DATASETS, locations=['mmvireid.datasets'])
DATA_SAMPLERS = Registry(
    'data sampler', parent=root.DATA_SAMPLERS, locations=['mmvireid.datasets'])
TRANSFORMS = Registry(
    'transform', parent=root.TRANSFORMS, locations=['mmvireid.datasets'])

MODELS = Registry('model', parent=root.MODELS, locations=['mmvireid.models'])
MODEL_WRAPPERS = Registry(
    'model wrapper', parent=root.MODEL_WRAPPERS, locations=['mmvireid.models'])
WEIGHT_INITIALIZERS = Registry(
    'weight initializer', parent=root.WEIGHT_INITIALIZERS, locations=['mmvireid.models'])

METRICS = Registry('metric', parent=root.METRICS, locations=['mmvireid.evaluation'])
EVALUATOR = Registry('evaluator', parent=root.EVALUATOR, locations=['mmvireid.evaluation'])
#: What ranks a gallery: scorers, and post-processors of a
#: :class:`mmvireid.structures.RetrievalResult` such as re-ranking. MMEngine has no such node, so
#: this one is a root.
RANKERS = Registry('ranker', locations=['mmvireid.evaluation', 'mmvireid.models'])
#: What makes the pseudo labels of a branch; a method may bring its own.
LABELLERS = Registry('labeller', locations=['mmvireid.clustering', 'mmvireid.engine'])
#: The parts of clustering.
TASK_UTILS = Registry(
    'task util',
    parent=root.TASK_UTILS,
    locations=['mmvireid.evaluation', 'mmvireid.clustering', 'mmvireid.models', 'mmvireid.engine'])

VISUALIZERS = Registry(
    'visualizer', parent=root.VISUALIZERS, locations=['mmvireid.visualization'])
VISBACKENDS = Registry(
    'visualizer backend', parent=root.VISBACKENDS, locations=['mmvireid.visualization'])
INFERENCERS = Registry('inferencer', parent=root.INFERENCERS, locations=['mmvireid.inference'])
