# CAJ on the synthetic pedestrians of CIFT's demo. A stand-in for trying the toolbox; its
# numbers say nothing about real data.
_base_ = ['../_base_/models/caj_r50.py', '../_base_/demo/sysu.py']

model = dict(
    channels_last=True,
    backbone=dict(trunk={{_base_.small_trunk}}, non_local=None, init_cfg=None),
    head=dict(num_classes={{_base_.num_ids}}, in_channels=256))

train_dataloader = dict(dataset=dict(pipeline={{_base_.two_view_pipeline}}))
