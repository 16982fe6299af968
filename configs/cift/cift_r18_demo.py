# CIFT on synthetic pedestrians: minutes on two CPU cores, no GPU, no download.
# A stand-in for trying the toolbox; its numbers say nothing about real data.
_base_ = [
    '../_base_/models/cift_r50.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/pipelines/cift.py',
    '../_base_/schedules/cift_120e.py',
    '../default_runtime.py',
]

data_root = 'data/synthetic_sysu'
num_ids = 100
image_size = (96, 48)  # height, width
# Drawn when data_root does not exist (tools/dataset_converters/make_synthetic.py).
demo_data = dict(ids=140, test_ids=40, images_per_camera=8, size=(128, 64), seed=0)

model = dict(
    channels_last=True,
    backbone=dict(
        # ResNet-18 with half the channels, from scratch.
        trunk=dict(depth=18, stem_channels=32, base_channels=32),
        init_cfg=None),
    head=dict(num_classes=num_ids, in_channels=256))

load_image = dict(type='LoadReIDImage', size=image_size, cache_dir='data/cache')
train_pipeline = [
    load_image,
    dict(type='PadRandomCrop', padding=4),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomErasing', prob=0.5, fill=(125.3, 123.0, 113.9)),
    dict(type='PackReIDInputs'),
]
test_pipeline = [load_image, dict(type='PackReIDInputs')]

# Two cores are for the network: images come from the cache, in the same process.
train_dataloader = dict(
    num_workers=0,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
    sampler=dict(type='CrossModalityChunkSampler'))
test_dataloader = dict(
    num_workers=0, dataset=dict(data_root=data_root, pipeline=test_pipeline))
val_dataloader = test_dataloader
test_evaluator = dict(settings=['all_single'], rankings={{_base_.rankings}})

# Nothing is pre-trained, so everything learns at the same rate.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1.0)}))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=2),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, begin=2, end=28),
]
train_cfg = dict(max_epochs=28, val_interval=14)
default_hooks = dict(
    logger=dict(interval=10),
    ranking_list=dict(
        type='RankingListHook',
        num_queries=6,
        rankings=['backbone', 'cift'],
        title='Synthetic pedestrians, infrared query, visible gallery'))
