# The first stage of BMIL on LLCM. The release has no settings for it. These are ours, not
# measured yet: those of SYSU-MM01 without subset clustering and without jitter of infrared
# images.
_base_ = [
    '../_base_/models/bmil_r50-agw.py',
    '../_base_/datasets/llcm.py',
    '../_base_/pseudo_labels/bmil.py',
    '../_base_/schedules/bmil_50e.py',
]

train_dataloader = dict(
    batch_size=256,
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler={{_base_.cluster_sampler}})
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader

default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(partition=dict(visible_ratio=1)),
            cross=dict(partition=dict(visible_ratio=1)))))
