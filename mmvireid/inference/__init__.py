"""Use a trained network: embed pictures, keep galleries, search, export."""

from mmvireid.utils.errors import InputError

from .inferencer import VIReIDInferencer
from .model_zoo import ZooModel, find_model, zoo_models
from .onnx_export import export_onnx

__all__ = [
    'InputError', 'VIReIDInferencer', 'ZooModel', 'export_onnx', 'find_model', 'zoo_models'
]
