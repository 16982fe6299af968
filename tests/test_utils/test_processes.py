"""Groups of processes."""

import torch.distributed as torch_dist

from mmvireid.utils.processes import leave_process_group, main_process_computes, patient_group


def test_groups_of_processes_are_left(tmp_path):
    for name in ('first', 'second'):  # a notebook begins afresh
        torch_dist.init_process_group(
            'gloo', init_method=f'file://{tmp_path}/{name}', rank=0, world_size=1)
        patient_group()
        assert main_process_computes(lambda: 'done') == 'done'
        leave_process_group()
        assert not torch_dist.is_initialized()
    leave_process_group()  # there is none
