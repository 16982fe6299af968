# The second stage without the memory of both modalities.
_base_ = ['./rpnr_r50-agw_50e_sysu_cross.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(plan=dict(_delete_=True, type='MatchedMemories', cross_weight=0.25)))))
