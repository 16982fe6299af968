# M4 of the paper's ablation: subsets and bias-mitigated global clustering, one prototype per
# cluster.
_base_ = ['./bmil_r50-agw_2x50e_sysu.py']

default_hooks = dict(
    pseudo_labels=dict(branches=dict(cross=dict(memory=dict(type='SharedMemory')))))
