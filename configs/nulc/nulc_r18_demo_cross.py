# The second stage of N-ULC on synthetic pedestrians. Twenty neighbours, of about 25 visible
# and 16 infrared images of a person.
_base_ = ['../_base_/demo/matched_clusters.py']

model = dict(
    head=dict(
        branches=dict(
            intra=dict(
                memory=dict(mode='mean', mean_update='sample', momentum=0.2, margin=0.0)))))
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                associate=dict(type='ProgressiveGraphMatching'),
                plan=dict(
                    type='NeighborSoftMemories', cross_weight=3.0, num_neighbors=20, balance=0.7,
                    scale=10.0)))))
