# The second stage of M5.
_base_ = ['./bmil_r18_demo_cross.py']

default_hooks = dict(
    pseudo_labels=dict(
        branches=dict(
            cross=dict(clusterer=dict(clusterer=dict(neighbors=dict(type='PlainNeighbors')))))))
