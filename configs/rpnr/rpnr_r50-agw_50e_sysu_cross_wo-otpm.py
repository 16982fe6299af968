# The second stage with the matching of PGM in place of optimal transport.
_base_ = ['./rpnr_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(associate=dict(_delete_=True, type='ProgressiveGraphMatching')))))
