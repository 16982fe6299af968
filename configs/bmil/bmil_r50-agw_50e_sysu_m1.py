# M1 of the paper's ablation: intra-modality learning alone. M2 and M3 go on from it.
_base_ = ['./bmil_r50-agw_50e_sysu_intra.py']

default_hooks = dict(
    pseudo_labels=dict(labellers=dict(intra=dict(partition=dict(visible_ratio=1)))))
