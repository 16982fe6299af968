# MPANet on the synthetic pedestrians of CIFT's demo. A stand-in for trying the toolbox; its
# numbers say nothing about real data.
_base_ = ['../_base_/models/mpanet_r50.py', '../_base_/demo/sysu.py']

model = dict(
    channels_last=True,
    backbone=dict(trunk={{_base_.small_trunk}}, init_cfg=None),
    neck=dict(in_channels=256),
    head=dict(num_classes={{_base_.num_ids}}, in_channels=7 * 256))

train_pipeline = [
    {{_base_.load_image}},
    dict(type='PadRandomCrop', padding=4, fill=127),
    dict(type='RandomFlip', prob=0.5),
    # Before normalising, so that images stay uint8; the fill is the mean colour.
    dict(
        type='RandomErasing',
        prob=0.5,
        area_range=(0.02, 0.33),
        aspect_range=(0.3, 3.3),
        aspect='log_uniform',
        attempts=10,
        fill=(123.675, 116.28, 103.53)),
    dict(type='PackReIDInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# Adam as published; nothing is pre-trained, so it takes larger steps.
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=1e-3, weight_decay=5e-4))
