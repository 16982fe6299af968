# What the demos of the supervised methods share: synthetic pedestrians, a small network from
# scratch, 64 images a step, 28 epochs. Minutes on two CPU cores, no GPU, no download.
# A stand-in for trying the toolbox; its numbers say nothing about real data.
_base_ = ['../datasets/sysu_mm01.py', '../../default_runtime.py']

data_root = 'data/synthetic_sysu'
num_ids = 100
image_size = (96, 48)  # height, width
# Drawn when data_root does not exist (tools/dataset_converters/make_synthetic.py).
demo_data = dict(ids=140, test_ids=40, images_per_camera=8, size=(128, 64), seed=0)

# ResNet-18 with half the channels; its features have 256.
small_trunk = dict(depth=18, stem_channels=32, base_channels=32)

load_image = dict(type='LoadReIDImage', size=image_size, cache_dir='data/cache')
change_image = [
    dict(type='PadRandomCrop', padding=4),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomErasing', prob=0.5, fill=(125.3, 123.0, 113.9)),
]
train_pipeline = [load_image, *change_image, dict(type='PackReIDInputs')]
# Visible images in two views, plain and channel-exchanged; infrared ones with random channels.
two_view_pipeline = [
    load_image,
    dict(
        type='ByModality',
        visible=[
            dict(
                type='MultiView',
                views=[change_image, change_image + [dict(type='mmvireid.ChannelExchange')]])
        ],
        infrared=change_image + [dict(type='ChannelAdapGray', prob=0.5)]),
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
test_evaluator = dict(settings=['all_single'])

# Nothing is pre-trained, so everything learns at the same rate.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=2),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, begin=2, end=28),
]
train_cfg = dict(by_epoch=True, max_epochs=28, val_interval=14)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=64)
default_hooks = dict(logger=dict(interval=10))
