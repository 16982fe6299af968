# Smaller images, 5 + 5 of each of 12 people, and one drop of the learning rate.
_base_ = [
    '../_base_/models/mpanet_r50.py',
    '../_base_/datasets/regdb.py',
    '../_base_/pipelines/mpanet.py',
    '../_base_/schedules/mpanet_140e.py',
    '../default_runtime.py',
]

image_size = (256, 128)  # height, width
load_image = dict(type='LoadReIDImage', size=image_size, interpolation='bilinear')

model = dict(head=dict(num_classes={{_base_.num_ids}}))
train_dataloader = dict(
    batch_size=120,
    dataset=dict(pipeline=[load_image, *_base_.change_image]),
    sampler=dict(
        type='CrossModalityExhaustiveSampler', num_ids=12, num_visible=5, num_infrared=5))
test_dataloader = dict(dataset=dict(pipeline=[load_image, dict(type='PackReIDInputs')]))
val_dataloader = test_dataloader
param_scheduler = [
    dict(type='MultiStepLR', milestones=[110], gamma=0.1, by_epoch=True),
]
