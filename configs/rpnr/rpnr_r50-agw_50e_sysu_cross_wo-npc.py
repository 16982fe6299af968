# The second stage without calibration: images keep the labels of their clusters.
_base_ = ['./rpnr_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(labellers=dict(intra=dict(refine=[]))))
