# The second stage with matched prototypes that are scaled to unit length.
_base_ = ['./adca_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(labellers=dict(intra=dict(plan=dict(normalize=True)))))
