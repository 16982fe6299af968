"""What the command lines share: options, errors in one sentence, folders, steps, tables."""

from .arguments import add_common_arguments, key_value, positive
from .demo_data import write_demo_data
from .errors import one_sentence_errors
from .runs import load_pretrained_parts, run_test, run_training
from .steps import evaluate_once, run_command, run_step, train_once
from .work_dirs import check_out_file, check_work_dir, claim_folder

__all__ = [
    'add_common_arguments', 'check_out_file', 'check_work_dir', 'claim_folder', 'evaluate_once',
    'key_value', 'load_pretrained_parts', 'one_sentence_errors', 'positive', 'run_command',
    'run_step', 'run_test', 'run_training', 'train_once', 'write_demo_data'
]
