# The second stage of ADCA on synthetic pedestrians.
_base_ = ['../_base_/demo/matched_clusters.py']

model = dict(
    head=dict(
        branches=dict(
            intra=dict(
                memory=dict(mode='mean', mean_update='sample', momentum=0.1, margin=0.0)))))
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                associate=dict(type='VoteMatching', threshold=0.5),
                plan=dict(type='AggregatedMemories', keep=0.1, normalize=False)))))
