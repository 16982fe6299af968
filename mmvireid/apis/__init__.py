"""What a script imports."""

from .demo_data import write_demo_data
from .image_inputs import InputError
from .inferencer import VIReIDInferencer
from .launch import (
    ConfigError,
    add_common_arguments,
    as_list,
    check_checkpoint,
    check_out_file,
    check_work_dir,
    claim_folder,
    final_checkpoint,
    find_checkpoint,
    key_value,
    load_config,
    one_sentence_errors,
    positive,
    remove_unfinished,
    run_command,
    run_test,
    run_training,
)
from .model_zoo import ZooModel, find_model, zoo_models
from .onnx_export import export_onnx
from .publish import publish_checkpoint
from .steps import evaluate_once, run_step, train_once

__all__ = [
    'ConfigError', 'InputError', 'VIReIDInferencer', 'ZooModel', 'add_common_arguments',
    'as_list', 'check_checkpoint', 'check_out_file', 'check_work_dir', 'claim_folder',
    'evaluate_once', 'export_onnx', 'final_checkpoint', 'find_checkpoint', 'find_model',
    'key_value', 'load_config', 'one_sentence_errors', 'positive', 'publish_checkpoint',
    'remove_unfinished', 'run_command', 'run_step', 'run_test', 'run_training', 'train_once',
    'write_demo_data', 'zoo_models'
]
