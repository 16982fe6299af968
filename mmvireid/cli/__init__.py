"""What the command lines share: options, errors in one sentence, folders, steps, tables."""

from .arguments import (
    add_checkpoint,
    add_chosen_people,
    add_config,
    add_config_options,
    add_device,
    add_loading_arguments,
    add_out,
    add_run_arguments,
    add_show_dir,
    add_test_arguments,
    add_work_dir,
    not_negative,
    positive,
    shell_path,
    tool_parser,
)
from .config_options import ConfigOptions
from .demo_data import write_demo_data
from .errors import one_sentence_errors
from .folder_lock import DEMO_LOCK, lock_work_dir
from .runs import load_pretrained_parts, run_test, run_training
from .stages import train_stages
from .steps import evaluate_once, run_command, run_step, train_once
from .work_dirs import check_out_file, check_work_dir, claim_folder

__all__ = [
    'ConfigOptions', 'DEMO_LOCK', 'add_checkpoint', 'add_chosen_people', 'add_config',
    'add_config_options', 'add_device', 'add_loading_arguments', 'add_out', 'add_run_arguments',
    'add_show_dir', 'add_test_arguments', 'add_work_dir', 'check_out_file', 'check_work_dir',
    'claim_folder', 'evaluate_once', 'load_pretrained_parts', 'lock_work_dir', 'not_negative',
    'one_sentence_errors', 'positive', 'run_command', 'run_step', 'run_test', 'run_training',
    'shell_path', 'tool_parser', 'train_once', 'train_stages', 'write_demo_data'
]
