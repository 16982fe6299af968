# The second stage: clusters are matched, and images of one modality learn from the memory of
# the other, the visible ones in even epochs. Prototypes follow the hardest image. Infrared
# images are not jittered any more.
_base_ = ['./pgm_r50-agw_50e_sysu_intra.py']

model = dict(
    head=dict(
        branches=dict(
            intra=dict(
                memory=dict(
                    _delete_=True, type='ClusterMemory', mode='hard', temperature=0.05,
                    momentum=0.2)))))
train_dataloader = dict(dataset=dict(pipeline={{_base_.train_pipeline}}))
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                associate=dict(type='ProgressiveGraphMatching', max_rounds=None),
                plan=dict(type='MatchedMemories', cross_weight=0.25, turns='alternate')))))
