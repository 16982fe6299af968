# The second stage with one-hot targets; images weigh by their neighbours.
_base_ = ['./nulc_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(labellers=dict(intra=dict(plan=dict(balance=1.0)))))
