# DEEN: the schedule of AGW with later drops, a tenth after 20 and a hundredth after 80
# epochs. (The release means a third drop at 120, which its code never reaches.)
_base_ = ['./agw_81e.py']

param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=10),
    dict(type='MultiStepLR', milestones=[20, 80], gamma=0.1, by_epoch=True),
]
train_cfg = dict(max_epochs=151)
auto_scale_lr = dict(base_batch_size=48)
