# M5 of the paper's ablation: subsets and split-and-contrast learning, naive clustering.
_base_ = ['./bmil_r50-agw_2x50e_sysu.py']

default_hooks = dict(
    pseudo_labels=dict(
        branches=dict(
            cross=dict(clusterer=dict(clusterer=dict(neighbors=dict(type='PlainNeighbors')))))))
