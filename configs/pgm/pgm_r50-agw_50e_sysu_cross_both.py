# The second stage with both directions in every epoch, without alternation.
_base_ = ['./pgm_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(labellers=dict(intra=dict(plan=dict(turns='both')))))
