# The second stage with soft targets; every image weighs the same.
_base_ = ['./nulc_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(labellers=dict(intra=dict(plan=dict(scale=0.0)))))
