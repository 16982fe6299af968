# M2 of the paper's ablation: naive global clustering, one prototype per cluster.
_base_ = ['./bmil_r18_demo.py']

default_hooks = dict(
    pseudo_labels=dict(
        branches=dict(
            intra=dict(clusterer=dict(visible_ratio=1)),
            cross=dict(
                clusterer=dict(
                    visible_ratio=1, clusterer=dict(neighbors=dict(type='PlainNeighbors'))),
                memory=dict(type='SharedMemory')))))
