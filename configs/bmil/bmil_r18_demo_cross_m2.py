# The second stage of M2.
_base_ = ['./bmil_r18_demo_cross.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(partition=dict(visible_ratio=1)),
            cross=dict(
                partition=dict(
                    visible_ratio=1, clusterer=dict(neighbors=dict(type='PlainNeighbors'))),
                plan=dict(type='SharedMemory')))))
