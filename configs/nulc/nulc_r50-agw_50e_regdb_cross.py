# The second stage: clusters are matched, images of one modality learn from the memory of the
# other, the visible ones in even epochs, and the neighbours of an image soften its targets.
_base_ = ['./nulc_r50-agw_50e_regdb_intra.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                associate=dict(type='ProgressiveGraphMatching', max_rounds=None),
                plan=dict(
                    type='NeighborSoftMemories', cross_weight=3.0, turns='alternate',
                    num_neighbors=20, balance=0.7, scale=10.0)))))
