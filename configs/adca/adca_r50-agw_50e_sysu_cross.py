# The second stage: before each epoch matched visible prototypes move to the infrared ones.
_base_ = ['./adca_r50-agw_50e_sysu_intra.py']

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                associate=dict(type='VoteMatching', threshold=0.5),
                plan=dict(type='AggregatedMemories', keep=0.1, normalize=False)))))
