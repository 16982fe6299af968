# The second stage of M2.
_base_ = ['./bmil_r18_demo_cross.py']

default_hooks = dict(
    pseudo_labels=dict(
        branches=dict(
            intra=dict(clusterer=dict(visible_ratio=1)),
            cross=dict(
                clusterer=dict(
                    visible_ratio=1, clusterer=dict(neighbors=dict(type='PlainNeighbors'))),
                memory=dict(type='SharedMemory')))))
