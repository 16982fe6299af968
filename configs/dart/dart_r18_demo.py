# DART on the synthetic pedestrians of CIFT's demo: each network has as many steps as there, 48 an
# epoch, of 64 images. Nothing is pre-trained, so the warm-up is longer. A stand-in for trying the
# toolbox; its numbers say nothing about real data.
_base_ = ['../_base_/models/dart_r50.py', '../_base_/demo/sysu.py']

model = dict(
    channels_last=True,
    backbone=dict(trunk={{_base_.small_trunk}}, non_local=None, init_cfg=None),
    head=dict(num_classes={{_base_.num_ids}}, in_channels=256))

train_dataloader = dict(
    dataset=dict(pipeline={{_base_.two_view_pipeline}}),
    sampler=dict(
        type='CoTeachingSampler',
        num_ids=8,
        num_visible=4,
        num_infrared=4,
        num_steps=48,
        min_images=4,
        num_members='${model.num_members}',
        warmup_epochs=5))
default_hooks = dict(
    clean_probabilities=dict(
        type='CleanProbabilityHook',
        begin='${train_dataloader.sampler.warmup_epochs}',
        mode='train'))
