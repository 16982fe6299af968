# CIFT on synthetic pedestrians: minutes on two CPU cores, no GPU, no download.
# A stand-in for trying the toolbox; its numbers say nothing about real data.
_base_ = ['../_base_/models/cift_r50.py', '../_base_/demo/sysu.py']

model = dict(
    channels_last=True,
    backbone=dict(trunk={{_base_.small_trunk}}, init_cfg=None),
    head=dict(num_classes={{_base_.num_ids}}, in_channels=256))

test_evaluator = dict(rankings={{_base_.rankings}})

# The trunk learns as everything else does, the counterfactual parameters a tenth as fast.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'head.counterfactual': dict(lr_mult=0.1)}))
default_hooks = dict(
    ranking_list=dict(
        type='RankingListHook',
        num_queries=6,
        rankings=['backbone', 'cift'],
        title='Synthetic pedestrians, infrared query, visible gallery'))
