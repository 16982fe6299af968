# The second stage of PGM on synthetic pedestrians.
_base_ = ['../_base_/demo/matched_clusters.py']

model = dict(
    head=dict(
        branches=dict(
            intra=dict(memory=dict(mode='hard', momentum=0.2)))))
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                associate=dict(type='ProgressiveGraphMatching', max_rounds=None),
                plan=dict(type='MatchedMemories', cross_weight=0.25, turns='alternate')))))
