# CAJ: visible images in two views, plain and channel-exchanged; infrared ones with
# random channel adaptation. Erasing and channel operations run after normalising,
# as published: put them before Normalize for their plain meaning.
_base_ = ['./test.py']

geometry = [
    dict(type='PadRandomCrop', padding=10),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='Normalize',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=False),
    dict(type='RandomErasing', prob=0.5),
]

train_pipeline = [
    dict(type='LoadReIDImage', size={{_base_.image_size}}),
    dict(
        type='ByModality',
        visible=[
            dict(
                type='MultiView',
                views=[geometry, geometry + [dict(type='ChannelExchange')]])
        ],
        infrared=geometry + [dict(type='ChannelAdapGray', prob=0.5)]),
    dict(type='PackReIDInputs'),
]
