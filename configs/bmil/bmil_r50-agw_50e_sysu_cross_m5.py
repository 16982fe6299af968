# The second stage of M5.
_base_ = ['./bmil_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            cross=dict(partition=dict(clusterer=dict(neighbors=dict(type='PlainNeighbors')))))))
