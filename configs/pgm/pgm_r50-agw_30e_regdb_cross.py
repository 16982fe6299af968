# The second stage: clusters are matched, and images of one modality learn from the memory of
# the other, the visible ones in even epochs. Prototypes follow one image after the other, as
# in the first stage.
_base_ = ['./pgm_r50-agw_30e_regdb_intra.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                associate=dict(type='ProgressiveGraphMatching', max_rounds=None),
                plan=dict(type='MatchedMemories', cross_weight=0.25, turns='alternate')))))
