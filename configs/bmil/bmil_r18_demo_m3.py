# M3 of the paper's ablation: bias-mitigated global clustering, one prototype per cluster.
_base_ = ['./bmil_r18_demo.py']

default_hooks = dict(
    pseudo_labels=dict(
        branches=dict(
            intra=dict(clusterer=dict(visible_ratio=1)),
            cross=dict(clusterer=dict(visible_ratio=1), memory=dict(type='SharedMemory')))))
