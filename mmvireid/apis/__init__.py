"""What a script imports."""

from .demo_data import write_demo_data
from .launch import (
    ConfigError,
    add_common_arguments,
    as_list,
    check_checkpoint,
    check_work_dir,
    claim_folder,
    final_checkpoint,
    find_checkpoint,
    key_value,
    load_config,
    one_sentence_errors,
    remove_unfinished,
    run_command,
    run_test,
    run_training,
)
from .steps import evaluate_once, run_step, train_once

__all__ = [
    'ConfigError', 'add_common_arguments', 'as_list', 'check_checkpoint', 'check_work_dir',
    'claim_folder', 'evaluate_once', 'final_checkpoint', 'find_checkpoint', 'key_value',
    'load_config', 'one_sentence_errors', 'remove_unfinished', 'run_command', 'run_step',
    'run_test', 'run_training', 'train_once', 'write_demo_data'
]
