"""What a script or a notebook imports."""

from mmvireid.checkpoints import publish_checkpoint
from mmvireid.config import load_config
from mmvireid.inference import (
    InputError,
    VIReIDInferencer,
    ZooModel,
    export_onnx,
    find_model,
    zoo_models,
)
from mmvireid.utils.errors import ConfigError, MMVIReIDError

__all__ = [
    'ConfigError', 'InputError', 'MMVIReIDError', 'VIReIDInferencer', 'ZooModel', 'export_onnx',
    'find_model', 'load_config', 'publish_checkpoint', 'zoo_models'
]
