# The second stage of M3.
_base_ = ['./bmil_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(partition=dict(visible_ratio=1)),
            cross=dict(partition=dict(visible_ratio=1), plan=dict(type='SharedMemory')))))
