# The second stage: clusters are matched, images of one modality learn from the memory of the
# other, the visible ones in even epochs, and the neighbours of an image soften its targets.
# Choose num_neighbors near the number of images of a cluster.
_base_ = ['./nulc_r50-agw_50e_llcm_intra.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                associate=dict(type='ProgressiveGraphMatching', max_rounds=None),
                plan=dict(
                    type='NeighborSoftMemories', cross_weight=3.0, turns='alternate',
                    num_neighbors=30, balance=0.7, scale=10.0)))))
