# BMIL and others: visible images in two views, the second with other colours and one channel
# copied to all; infrared images with random channels. Erasing runs after normalising, as
# released. The first stage on SYSU-MM01 jitters the colours of infrared images too; without
# any jitter in unjittered_pipeline.
_base_ = ['./test.py']

load_image = dict(
    type='LoadReIDImage', size={{_base_.image_size}}, interpolation='bicubic')
geometry = [dict(type='PadRandomCrop', padding=10), dict(type='RandomFlip', prob=0.5)]
jitter = [
    dict(type='ColorJitter', brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5)
]
finish = [
    dict(
        type='Normalize',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=False),
    dict(type='RandomErasing', prob=0.5),
]
visible_views = dict(
    type='MultiView',
    views=[
        geometry + finish,
        geometry + jitter + finish + [dict(type='ChannelExchange')],
    ])
channels = dict(type='ChannelAdapGray', prob=0.5)

train_pipeline = [
    load_image,
    dict(
        type='ByModality',
        visible=[visible_views],
        infrared=geometry + finish + [channels]),
    dict(type='PackReIDInputs'),
]
infrared_jitter_pipeline = [
    load_image,
    dict(
        type='ByModality',
        visible=[visible_views],
        infrared=geometry + jitter + finish + [channels]),
    dict(type='PackReIDInputs'),
]
unjittered_pipeline = [
    load_image,
    dict(
        type='ByModality',
        visible=[
            dict(
                type='MultiView',
                views=[geometry + finish, geometry + finish + [dict(type='ChannelExchange')]])
        ],
        infrared=geometry + finish + [channels]),
    dict(type='PackReIDInputs'),
]
# Clustering reads images as training does, without augmentation; testing as the others.
cluster_pipeline = [load_image, dict(type='PackReIDInputs')]
