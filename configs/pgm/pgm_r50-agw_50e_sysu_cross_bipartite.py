# The second stage with one round of matching: one to one, and others have no partner.
_base_ = ['./pgm_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(labellers=dict(intra=dict(associate=dict(max_rounds=1)))))
