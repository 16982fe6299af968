# The stand-in for ImageNet weights of the BMIL demo: a small network learns other
# synthetic people, from visible images and their identities alone. It never sees an
# infrared image, nor anybody of the demo's dataset.
_base_ = [
    '../_base_/datasets/sysu_mm01.py',
    '../default_runtime.py',
]

data_root = 'data/synthetic_visible'
num_ids = 300
image_size = (64, 32)  # height, width
# Drawn when data_root does not exist (tools/dataset_converters/make_synthetic.py).
demo_data = dict(ids=340, test_ids=40, images_per_camera=4, size=(128, 64), seed=1)

model = dict(
    type='CrossModalityReIdentifier',
    data_preprocessor=dict(
        type='ReIDDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    channels_last=True,
    backbone=dict(
        type='CrossModalityBackbone',
        trunk=dict(
            type='mmpretrain.ResNet',
            depth=18,
            stem_channels=32,
            base_channels=32,
            strides=(1, 2, 2, 1))),
    neck=dict(type='GeneralizedMeanPooling', p=3.0),
    head=dict(
        type='BNNeckHead',
        num_classes=num_ids,
        in_channels=256,
        metric_loss=dict(type='TripletLoss', margin=0.3)))

load_image = dict(type='LoadReIDImage', size=image_size, cache_dir='data/cache')
train_pipeline = [
    load_image,
    dict(type='PadRandomCrop', padding=3),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    dict(
        type='mmcv.RandomApply', prob=0.5,
        transforms=[dict(type='mmvireid.ChannelExchange', gray=True)]),
    dict(type='RandomErasing', prob=0.5, fill=(125.3, 123.0, 113.9)),
    dict(type='PackReIDInputs'),
]
test_pipeline = [load_image, dict(type='PackReIDInputs')]

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
    sampler=dict(num_ids=16, num_visible=4, num_infrared=0))
test_dataloader = dict(
    num_workers=0, dataset=dict(data_root=data_root, pipeline=test_pipeline))
val_dataloader = test_dataloader
test_evaluator = dict(settings=['all_single'])

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=2,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', eta_min=0, by_epoch=True, begin=2, end=12,
        convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=12, val_interval=12)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=64)
