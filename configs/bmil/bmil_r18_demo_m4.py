# M4 of the paper's ablation: subsets and bias-mitigated global clustering, one prototype per
# cluster.
_base_ = ['./bmil_r18_demo.py']

default_hooks = dict(
    pseudo_labels=dict(branches=dict(cross=dict(memory=dict(type='SharedMemory')))))
