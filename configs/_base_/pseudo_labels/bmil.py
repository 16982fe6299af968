# BMIL's clusterings before each epoch. Each uses half of the visible images, "intra" one
# half and "cross" the other (subset clustering); visible_ratio=1 uses all for both.
_base_ = ['./intra_modality.py']

jaccard_aware = dict(
    type='JaccardDBSCAN',
    eps=0.6,
    min_samples=4,
    neighbors=dict(type='BalancedNeighbors', k1=30, k2=6))

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(partition=dict(visible_ratio=0.5, subset=0)),
            cross=dict(
                type='ClusterLabeller',
                partition=dict(
                    type='GlobalClustering',
                    clusterer=jaccard_aware,
                    visible_ratio=0.5,
                    subset=1),
                plan=dict(type='SplitMemory')))))
