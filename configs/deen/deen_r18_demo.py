# DEEN on the synthetic pedestrians of CIFT's demo. A stand-in for trying the toolbox; its
# numbers say nothing about real data.
_base_ = ['../_base_/models/deen_r50.py', '../_base_/demo/sysu.py']

model = dict(
    channels_last=True,
    backbone=dict(trunk={{_base_.small_trunk}}, init_cfg=None),
    head=dict(num_classes={{_base_.num_ids}}, in_channels=256))

train_pipeline = [
    {{_base_.load_image}},
    dict(type='RandomGrayscale', prob=0.5),
    *_base_.change_image,
    dict(type='PackReIDInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# The rates of the recipe, though nothing is pre-trained: pair mining and triplets pull before
# there is anything to tell people apart by, and a trunk that follows as quickly as the
# classifier learns ends at features that are all zero.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
