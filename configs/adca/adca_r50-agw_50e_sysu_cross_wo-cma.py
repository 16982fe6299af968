# The second stage with no aggregation, the first stage once more.
_base_ = ['./adca_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(intra=dict(plan=dict(_delete_=True, type='ModalityMemories')))))
