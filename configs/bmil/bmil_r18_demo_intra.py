# The first stage of BMIL on synthetic pedestrians, without identities: minutes on two CPU
# cores. A stand-in for trying the toolbox; its numbers say nothing about real data.
_base_ = [
    '../_base_/models/bmil_r50-agw.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/pseudo_labels/bmil.py',
    '../_base_/schedules/bmil_50e.py',
]

data_root = 'data/synthetic_gap'
image_size = (64, 32)  # height, width
# Drawn when data_root does not exist (tools/dataset_converters/make_synthetic.py).
# 200 people to learn from, 8,160 images. Some colours are bright in infrared where they are
# dark by day: the nearest neighbours of an image are of its own modality.
demo_data = dict(
    ids=260,
    test_ids=60,
    images_per_camera=8,
    size=(96, 48),
    seed=0,
    difficulty=dict(modality_gap=0.0, inversion=0.45))

model = dict(
    channels_last=True,
    backbone=dict(
        # ResNet-18 with half the channels. On a machine without ImageNet weights it
        # starts from other, visible-only synthetic people (pretrain_r18_visible.py).
        trunk=dict(depth=18, stem_channels=32, base_channels=32),
        non_local=None,
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/pretrain_r18_visible/epoch_12.pth',
            prefix='backbone.trunk',
            made_by='python tools/train.py configs/bmil/pretrain_r18_visible.py')),
    head=dict(in_channels=256))

load_image = dict(type='LoadReIDImage', size=image_size, cache_dir='data/cache')
geometry = [dict(type='PadRandomCrop', padding=3), dict(type='RandomFlip', prob=0.5)]
jitter = [dict(type='ColorJitter', brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5)]
finish = [
    dict(
        type='Normalize',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=False),
    dict(type='RandomErasing', prob=0.5),
]
train_pipeline = [
    load_image,
    dict(
        type='ByModality',
        visible=[
            dict(
                type='MultiView',
                views=[
                    geometry + finish,
                    geometry + jitter + finish + [dict(type='ChannelExchange')],
                ])
        ],
        infrared=geometry + finish + [dict(type='ChannelAdapGray', prob=0.5)]),
    dict(type='PackReIDInputs'),
]
test_pipeline = [load_image, dict(type='PackReIDInputs')]

# Two cores are for the network: images come from the cache, in the same process.
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
    sampler=dict(
        _delete_=True,
        type='ClusterSampler',
        num_visible_clusters=4,
        num_infrared_clusters=4,
        num_instances=8,
        num_steps=80,
        turns=['intra']))
test_dataloader = dict(
    num_workers=0, dataset=dict(data_root=data_root, pipeline=test_pipeline))
val_dataloader = test_dataloader
test_evaluator = dict(settings=['all_single'])

param_scheduler = [
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, begin=0, end=8),
]
train_cfg = dict(max_epochs=3, val_interval=4)

# Fewer images of a person than SYSU-MM01 has: about 25 visible and 16 infrared.
within = dict(eps=0.5, neighbors=dict(k1=20, k2=4))
default_hooks = dict(
    logger=dict(interval=20),
    pseudo_labels=dict(
        extractor=dict(pipeline=test_pipeline, num_workers=0),
        labellers=dict(
            intra=dict(partition=dict(visible=within, infrared=within)),
            cross=dict(partition=dict(clusterer=dict(eps=0.45, neighbors=dict(k1=20, k2=4)))))))
